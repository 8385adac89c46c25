"""One Ray cluster of two nodes for all tests of this package."""

from collections.abc import Iterator

import pytest

from benchmarks.ray_clusters import RayCluster, ray_cluster


@pytest.fixture(scope="package")
def cluster() -> Iterator[RayCluster]:
    """Two nodes of one core each. They end with these tests, since they take time of processors while they wait."""
    with ray_cluster(1, 1) as running:
        yield running
