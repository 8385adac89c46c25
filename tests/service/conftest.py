from collections.abc import Iterator

import pytest

from tests.service.fakes import Instance, open_instance


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A server with small limits, shared by the tests of a file."""
    models = tmp_path_factory.mktemp("models")
    with open_instance(models, max_upload_bytes=20_000, max_pixels=10_000, max_files=4, max_queue=64) as instance:
        yield instance
