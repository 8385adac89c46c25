"""Another file is put in place of a history that is in use: it is neither read nor written beside the old log."""

import subprocess
import sys
import time
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import select

from anomaly.errors import UsageError
from service.errors import HistoryUnavailableError
from service.records.history import History, StoredEntry, read_page, read_thumbnail, writer
from service.records.history.export import read_corrections
from service.records.history.tables import images
from service.schemas.history import HistoryFilters
from tests.service.records.history.entries import failure, found, kept, writing

WRITER = """
import sys
from pathlib import Path
from tests.service.records.history.entries import found, writing
with writing(Path(sys.argv[1])) as do:
    do(lambda history: history.add([found(1)]))
    do(lambda history: history.correct(1, "normal", "a"))
    print("written", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another history, of nine rows."""
    other = tmp_path / "other.sqlite"
    with writing(other) as do:
        do(lambda history: history.add([found(number) for number in range(90, 99)]))
    return other


def replace(path: Path, other: Path) -> str:
    """Returns the hash of what is there now."""
    path.rename(path.with_name("moved.sqlite"))
    other.rename(path)
    return sha256(path.read_bytes()).hexdigest()


async def read(history: History) -> list[StoredEntry]:
    return (await history.read(partial(read_page, HistoryFilters(), limit=9)))[0]


async def thumbnail(history: History) -> bytes | None:
    return await history.read(partial(read_thumbnail, 1))


def test_what_was_put_in_place_is_not_opened_by_readers(
    path: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PLACE_S", 60.0)
    with writing(path) as do:
        do(lambda history: history.add([found(1)]))
        assert [row.id for row in do(read)] == [1]
        digest = replace(path, other)
        for ask in (read, thumbnail):
            with pytest.raises(HistoryUnavailableError, match="renamed, removed or replaced"):
                do(ask)
        assert sha256(path.read_bytes()).hexdigest() == digest
    assert kept(path.with_name("moved.sqlite")) == [1]
    assert kept(path) == list(range(9, 0, -1))


def test_an_idle_server_notices_by_itself_and_goes_on_with_the_file_that_is_there(
    path: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PLACE_S", 0.05)
    with writing(path) as do:
        do(lambda history: history.add([found(1)]))
        replace(path, other)
        deadline = time.monotonic() + 20
        while True:
            try:
                rows = do(read)
                break
            except HistoryUnavailableError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert len(rows) == 9
    assert kept(path.with_name("moved.sqlite")) == [1]


def test_a_log_that_could_not_be_brought_into_its_file_is_not_taken_for_anothers(
    path: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: the writer leaves the file, and the log stays. Then the file is replaced."""
    monkeypatch.setattr(writer, "PLACE_S", 60.0)
    monkeypatch.setattr(writer, "RETRY_S", 0.0)
    with writing(path) as do:
        do(lambda history: history.add([found(1)]))
        log = path.with_name("history.sqlite-wal").read_bytes()
        do(_leave)
        path.with_name("history.sqlite-wal").write_bytes(log)
        digest = replace(path, other)
        assert do(lambda history: history.add([found(2)])) == [None]
        assert "history.sqlite-wal belongs to the file that was there before" in str(do(failure))
        assert sha256(path.read_bytes()).hexdigest() == digest
        path.with_name("history.sqlite-wal").rename(path.with_name("moved.sqlite-wal"))
        assert do(lambda history: history.add([found(2)])) == [10]
    assert kept(path.with_name("moved.sqlite")) == [1]


async def _leave(history: History) -> None:
    """As after a failure, but with the log in its place, which a reader's connection keeps there."""
    with history._store.reading() as connection:
        connection.execute(select(images.c.id)).all()
        history._store.drop()


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open is not renamed there")
def test_an_export_refuses_a_file_beside_the_log_of_another(path: Path, other: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "written\n"
        assert [each.label for each in read_corrections(path).values()] == ["normal"]
        digest = replace(path, other)
        with pytest.raises(UsageError, match="belongs to another file"):
            read_corrections(path)
        kept(path)  # and who reads it all the same does not write it
        assert sha256(path.read_bytes()).hexdigest() == digest
        process.communicate("end\n")
    assert read_corrections(path) == {}
    assert len(read_corrections(path.with_name("moved.sqlite"))) == 1
