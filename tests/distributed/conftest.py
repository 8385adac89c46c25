"""One Ray cluster of two nodes for all tests of this package."""

from collections.abc import Iterator

import pytest

from benchmarks.ray_clusters import RayCluster, ray_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayCluster]:
    """Two nodes of one core each."""
    with ray_cluster(1, 1) as running:
        yield running
