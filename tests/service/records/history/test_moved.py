"""The history's file is renamed, removed or replaced while it is written: no number for a row that nobody finds."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from service.records.history import History, sqlite
from service.records.history.sqlite import open_file
from tests.service.records.history.entries import Clock, Unkept, failure, found, kept, writing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def elsewhere(path: Path) -> Path:
    return path.with_name("moved.sqlite")


def rename(path: Path) -> None:
    path.rename(elsewhere(path))


def rename_all(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).rename(f"{elsewhere(path)}{suffix}")


def replace(path: Path) -> None:
    """Another history, of one row, is moved to the path."""
    rename(path)
    with writing(path.with_name("other.sqlite")) as do:
        do(lambda history: history.add([found(90)]))
    path.with_name("other.sqlite").rename(path)


def replace_in_one_step(path: Path) -> None:
    shutil.copy(path, elsewhere(path))
    open_file(path.with_name("other.sqlite")).close()
    path.with_name("other.sqlite").replace(path)


@pytest.mark.parametrize("move", [rename, rename_all, replace])
def test_rows_so_far_go_with_a_file_that_is_moved_and_later_ones_into_the_one_that_is_there(
    path: Path, clock: Clock, move: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    unkept = Unkept()
    with writing(path, unkept=unkept) as do:
        assert do(lambda history: history.add([found(1), found(2)])) == [1, 2]
        move(path)
        assert do(lambda history: history.add([found(3)])) == [None]
        assert "renamed, removed or replaced" in str(do(failure))
        assert kept(elsewhere(path)) == [2, 1]  # at once: what was acknowledged does not wait for the end
        clock.wait_to_retry()
        (number,) = do(lambda history: history.add([found(4)]))
        assert do(failure) is None
    assert number is not None
    assert kept(path)[0] == number
    assert kept(elsewhere(path)) == [2, 1]
    assert unkept.num == 1
    told = [record.getMessage() for record in caplog.records if record.name == "service.records.history.writer"]
    assert ["renamed" in told[0], "written again" in told[-1], len(told)] == [True, True, 2]


@pytest.mark.parametrize("move", [Path.unlink, replace_in_one_step])
def test_a_file_that_is_removed_gets_no_more_rows(path: Path, clock: Clock, move: Callable[[Path], None]) -> None:
    with writing(path) as do:
        assert do(lambda history: history.add([found(1)])) == [1]
        move(path)
        assert do(lambda history: history.add([found(2)])) == [None]
        clock.wait_to_retry()
        assert do(lambda history: history.add([found(3)])) == [1]
    assert kept(path) == [1]


def test_the_log_alone_may_go_without_a_loss(path: Path, clock: Clock) -> None:
    with writing(path) as do:
        assert do(lambda history: history.add([found(1)])) == [1]
        path.with_name("history.sqlite-wal").unlink()
        assert do(lambda history: history.add([found(2)])) == [None]
        clock.wait_to_retry()
        assert do(lambda history: history.add([found(3)])) == [2]
    assert kept(path) == [2, 1]


def test_a_database_of_another_program_in_its_place_is_left_alone(path: Path, clock: Clock) -> None:
    with writing(path) as do:
        assert do(lambda history: history.add([found(1)])) == [1]
        rename(path)
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE mine (a)")
        other.close()
        for _ in range(3):
            assert do(lambda history: history.add([found(2)])) == [None]
            clock.wait_to_retry()
        assert "of another program" in str(do(failure))
        path.unlink()
        assert do(lambda history: history.add([found(3)])) == [1]
    assert kept(elsewhere(path)) == [1]


def test_a_file_that_is_moved_before_the_end_has_all_its_rows(path: Path) -> None:
    with writing(path) as do:
        assert do(lambda history: history.add([found(1), found(2)])) == [1, 2]
        rename(path)
    path.with_name("history.sqlite-wal").unlink(missing_ok=True)
    assert kept(elsewhere(path)) == [2, 1]


def test_a_file_that_is_moved_during_a_commit_gives_no_numbers(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = History._insert

    def moving(self: History, rows: Any, connection: Connection) -> Any:
        rename(path)
        return insert(self, rows, connection)

    with writing(path) as do:
        with monkeypatch.context() as patch:
            patch.setattr(History, "_insert", moving)
            assert do(lambda history: history.add([found(1)])) == [None]
        clock.wait_to_retry()
        assert do(lambda history: history.add([found(2)])) == [1]


def test_a_moved_file_is_not_left_while_somebody_reads_its_log(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its rows would stay in a log that belongs to no file."""
    monkeypatch.setattr(sqlite, "BUSY_S", 0.5)
    with writing(path) as do:
        assert do(lambda history: history.add([found(1)])) == [1]
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM images").fetchone() == (1,)
        rename(path)
        assert do(lambda history: history.add([found(2)])) == [None]
        reader.close()
        clock.wait_to_retry()
        assert do(lambda history: history.add([found(3)])) == [None]
        clock.wait_to_retry()
        assert do(lambda history: history.add([found(4)])) == [1]
    assert kept(elsewhere(path)) == [1]
    assert kept(path) == [1]
