import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from benchmarks.postgres import PostgresServer, running_postgres
from service.records.history import postgres as postgres_module
from service.records.history import sqlite, writer
from tests.service.fakes import Instance, open_instance


@pytest.fixture(scope="session", autouse=True)
def _patient_history() -> Iterator[None]:
    """A busy machine is no mistake: what waits less, in a commit or for one, says so itself."""
    limits, num = re.subn(r"(?<=timeout = )'(5s|1500ms)'", "'60s'", postgres_module.LIMITS)
    assert num == 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "ACKNOWLEDGE_S", 60.0)
        patch.setattr(postgres_module, "LIMITS", limits)
        patch.setattr(sqlite, "BUSY_S", 20.0)
        yield


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A server with small limits, shared by the tests of a file."""
    models = tmp_path_factory.mktemp("models")
    with open_instance(models, max_upload_bytes=20_000, max_pixels=10_000, max_files=4, max_queue=64) as instance:
        yield instance


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of Debian's, shared by all tests; one that stops it starts it again."""
    try:
        with running_postgres() as server:
            yield server
    except FileNotFoundError as error:
        # skipped, not failed: PostgreSQL is a program of Debian; `.ci/run` installs it
        pytest.skip(f"{error}; install it with: apt-get install postgresql")


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | SecretStr:
    """Of a history that is not there yet: a file, or a database."""
    if request.param == "sqlite":
        return tmp_path / "history.sqlite"
    server: PostgresServer = request.getfixturevalue("postgres")
    return SecretStr(server.new_database())
