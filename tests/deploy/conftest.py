from collections.abc import Iterator

import pytest

from tests.deploy.server import Watched, watched


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A server that has scored some images."""
    with watched(tmp_path_factory.mktemp("served")) as server:
        server.send_some()
        yield server
