"""What is acknowledged is there; what cannot be written harms nobody, and is written again when it can be."""

import asyncio
import hashlib
import logging
import sqlite3
import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from anomaly.errors import UsageError
from anomaly.times import utc_text
from service.errors import HistoryUnavailableError
from service.records.history import History, sqlite, writer
from service.records.history.retention import Pruning
from service.records.history.sqlite import open_file
from tests.service.records.history.entries import (
    Clock,
    Place,
    Unkept,
    failure,
    found,
    kept,
    made,
    page,
    reading,
    writing,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def test_an_id_is_given_when_its_row_can_be_read_by_others(place: Place) -> None:
    with writing(place) as do:
        assert do(lambda history: history.add([found(7), found(8)])) == [1, 2]
        rows, _ = page(place)
        assert do(lambda history: history.add([found(9)])) == [3]
    newest = rows[0]
    assert (newest.id, newest.filename, newest.score, newest.is_anomalous) == (2, "8.png", 8.0, False)
    assert newest.image_hash == hashlib.sha256(b"8").hexdigest()
    assert (newest.part, newest.terms) == (None, {"residual": 4.0})
    assert (newest.correction, newest.corrected_by, newest.corrected_at, newest.has_thumbnail) == (None,) * 3 + (False,)
    assert kept(place) == [3, 2, 1]


def test_many_at_once_share_commits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    commit = History._commit

    def counted(self: History, group: Any) -> bool:
        commits.append(len(group))
        return commit(self, group)

    monkeypatch.setattr(History, "_commit", counted)

    async def crowd(history: History) -> list[list[int | None]]:
        return await asyncio.gather(*(history.add([found(i)]) for i in range(500)))

    with writing(place) as do:
        ids = [number for numbers in do(crowd) for number in numbers]
    assert sorted(map(int, filter(None, ids))) == list(range(1, 501))
    assert sum(commits) == 500
    assert len([size for size in commits if size]) < 100
    assert max(commits) <= writer.MAX_GROUP


def test_numbers_are_never_used_again(path: Path) -> None:
    with writing(path) as do:
        do(lambda history: history.add([found(1), found(2)]))
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM images")
    connection.close()
    with writing(path) as do:
        assert do(lambda history: history.add([found(3)])) == [3]


def test_a_correction_says_who_and_when_and_can_be_taken_back(place: Place) -> None:
    with writing(place) as do:
        do(lambda history: history.add([found(1)]))
        before = utc_text(datetime.now(UTC))
        row = do(lambda history: history.correct(1, "anomalous", "line-3"))
        assert row is not None
        assert (row.correction, row.corrected_by) == ("anomalous", "line-3")
        assert before <= str(row.corrected_at) <= utc_text(datetime.now(UTC))
        assert do(lambda history: history.correct(2, "normal", "line-3")) is None
    assert page(place)[0] == [row]  # it survives a restart
    with writing(place) as do:
        taken = do(lambda history: history.correct(1, None, "line-4"))
        assert do(lambda history: history.correct(1, None, "line-5")) == taken  # there is nothing left to take back
    assert taken is not None
    assert (taken.correction, taken.corrected_by) == (None, "line-4")
    assert str(row.corrected_at) <= str(taken.corrected_at) <= utc_text(datetime.now(UTC))


def test_what_was_never_corrected_is_taken_back_by_nobody(place: Place) -> None:
    with writing(place) as do:
        do(lambda history: history.add([found(1)]))
        row = do(lambda history: history.correct(1, None, "line-3"))
    assert row is not None
    assert (row.correction, row.corrected_by, row.corrected_at) == (None, None, None)


def test_the_file_is_its_owners_only_and_durable(path: Path) -> None:
    with writing(path) as do:
        do(lambda history: history.add([found(1)]))
        with reading(path) as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").one() == ("wal",)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    opened = open_file(path)
    assert opened.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    opened.close()


def test_a_full_file_is_counted_told_once_and_recovered_from(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A real "database or disk is full" of SQLite's, by a limit on the number of pages."""
    clock = Clock(monkeypatch)
    is_full = False

    def limited(path: Path) -> sqlite3.Connection:
        connection = open_file(path)
        if is_full:
            connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr(sqlite, "open_file", limited)
    unkept = Unkept()
    with writing(path, unkept=unkept) as do:
        assert do(lambda history: history.add([found(1)])) == [1]
        is_full = True
        do(_drop)
        big = [found(i, filename="x" * 3000) for i in range(8)]
        assert do(lambda history: history.add(big)) == [None] * 8
        assert do(lambda history: history.add(big)) == [None] * 8  # at once, without another try
        with pytest.raises(HistoryUnavailableError, match="full"):
            do(lambda history: history.correct(1, "normal", "x"))
        clock.wait_to_retry()
        assert do(lambda history: history.add(big)) == [None] * 8
        assert unkept.num == 24
        is_full = False
        clock.wait_to_retry()
        numbers = do(lambda history: history.add([found(2)]))
    assert kept(path) == [*numbers, 1]
    told = [record.getMessage() for record in caplog.records if record.name == "service.records.history.writer"]
    assert len(told) == 2
    assert "images are scored on" in told[0]
    assert "full" in told[0]
    assert "written again" in told[1]


async def _drop(history: History) -> None:
    """Let it open the file anew."""
    store = history._store
    assert isinstance(store, sqlite.SqliteStore)
    connection, store._connection = store._connection, None
    assert connection is not None
    connection.close()


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("database or disk is full"),
        sqlite3.DatabaseError("database disk image is malformed"),
        OSError("no room"),
    ],
)
def test_any_error_of_a_group_is_its_own(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.0)
    unkept = Unkept()
    with writing(place, unkept=unkept) as do:
        with monkeypatch.context() as patch:
            patch.setattr(History, "_insert", _raising(error))
            assert do(lambda history: history.add([found(1), found(2)])) == [None, None]
        assert do(lambda history: history.add([found(3)])) == [1]
    assert unkept.num == 2
    (lost, _) = [record for record in caplog.records if record.name == "service.records.history.writer"]
    assert (lost.levelno, lost.exc_info) == (logging.ERROR, None)


def test_an_error_outside_the_rows_is_the_groups(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.0)
    with writing(place) as do:
        with monkeypatch.context() as patch:
            patch.setattr(Pruning, "delete_old", _raising(RuntimeError("unforeseen")))
            assert do(lambda history: history.add([found(1)])) == [None]
        numbers = do(lambda history: history.add([found(2)]))
    assert kept(place) == numbers
    (lost, _) = [record for record in caplog.records if record.name == "service.records.history.writer"]
    assert lost.exc_info is not None


def _raising(error: Exception) -> Any:
    def insert(*_: Any) -> None:
        raise error

    return insert


def test_a_lock_of_another_program_is_waited_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.0)
    monkeypatch.setattr(sqlite, "BUSY_S", 0.5)
    unkept = Unkept()
    with writing(path, unkept=unkept) as do:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert do(lambda history: history.add([found(1)])) == [None]
        other.execute("ROLLBACK")
        other.close()
        assert do(lambda history: history.add([found(2)])) == [1]
    assert unkept.num == 1


def test_a_disk_that_hangs_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "ACKNOWLEDGE_S", 0.2)
    insert = History._insert

    may_go = threading.Event()

    def held(self: History, rows: Any, connection: Connection) -> Any:
        assert may_go.wait(30)
        return insert(self, rows, connection)

    unkept = Unkept()
    with writing(place, unkept=unkept) as do:
        with monkeypatch.context() as patch:
            patch.setattr(History, "_insert", held)
            assert do(lambda history: history.add([found(1)])) == [None]
            monkeypatch.setattr(writer, "ACKNOWLEDGE_S", 30.0)
            assert do(lambda history: history.add([found(2)])) == [None]  # asked, it would wait for its number
        may_go.set()
        deadline = time.monotonic() + 20
        while do(failure):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert do(lambda history: history.add([found(3)])) == [2]
    assert unkept.num == 2


def test_a_row_that_was_given_up_before_it_was_written_does_not_end_the_history(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hangs need not be a row's own commit: deleting, when nothing is asked for, can take as long."""
    monkeypatch.setattr(writer, "ACKNOWLEDGE_S", 0.2)
    has_begun, may_go = threading.Event(), threading.Event()
    delete_old = Pruning.delete_old

    def held(self: Pruning, connection: Connection) -> bool:
        has_begun.set()
        assert may_go.wait(10)
        return delete_old(self, connection)

    with writing(place) as do:
        monkeypatch.setattr(Pruning, "delete_old", held)
        do(_wake)
        assert has_begun.wait(10)
        assert do(lambda history: history.add([found(1)])) == [None]
        may_go.set()
        deadline = time.monotonic() + 10
        while do(lambda history: history.add([found(2)])) == [None]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert kept(place) == [1]


async def _wake(history: History) -> None:
    """Let it commit now, with no row."""
    history._jobs.put(None)


def test_a_file_that_is_removed_while_it_is_written_is_made_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.0)
    with writing(path) as do:
        do(lambda history: history.add([found(1)]))
        do(_drop)
        path.unlink()
        assert do(lambda history: history.add([found(2)])) == [1]


def test_nothing_but_a_history_is_opened(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database at all, but quite long enough to be mistaken for one" * 99)
    with sqlite3.connect(tmp_path / "other") as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    with sqlite3.connect(tmp_path / "later") as connection:
        connection.executescript(f"CREATE TABLE t (a); PRAGMA application_id={0x416E6F6D}; PRAGMA user_version=4")
    connection.close()
    (tmp_path / "folder").mkdir()
    for name, said in {
        "text": "not a database", "other": "of another program", "later": "newer version of anomaly",
        "folder": "cannot be opened", "no/such/folder": "cannot be opened",
    }.items():  # fmt: skip
        with pytest.raises(UsageError, match=said):
            made(tmp_path / name)
    with sqlite3.connect(tmp_path / "other") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() != ("wal",)  # untouched
    connection.close()
