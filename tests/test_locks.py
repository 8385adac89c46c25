"""Locks: one holder at a time, who is named; nothing is left behind."""

import errno
import fcntl
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from anomaly.errors import InUseError, StorageError
from anomaly.locks import held, writing_file, writing_folder


def test_a_lock_is_had_once_and_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with held(path, "x"):
        with pytest.raises(InUseError, match=r"process \d+ on .* is writing x; wait"), held(path, "x"):
            pass
        assert path.exists()
    assert not path.exists()
    count = 0

    def add(_: int) -> None:
        nonlocal count
        with held(path, "x", wait=True):
            seen = count
            count = seen + 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(40)))
    assert count == 40


def test_who_holds_it_is_named(tmp_path: Path) -> None:
    who = f"process {os.getpid()} on {socket.gethostname()} since 20"
    with writing_file(tmp_path / "r.csv", "the results"):
        with pytest.raises(InUseError) as caught, writing_file(tmp_path / "r.csv", "the results"):
            pass
        assert str(caught.value).startswith(who)
        assert f" is writing the results {tmp_path / 'r.csv'}; wait until that has ended, or" in str(caught.value)
        with writing_file(tmp_path / "other.csv", "the results"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_a_crash_has_left_is_taken(tmp_path: Path) -> None:
    (tmp_path / ".r.csv.lock").write_text("nonsense")
    with writing_file(tmp_path / "r.csv", "the results"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_made_and_removed_if_nothing_came_into_it(tmp_path: Path) -> None:
    with writing_folder(tmp_path / "a" / "b", "pictures"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a" / "b").exists()
    for content in ("first", "second"):
        with writing_folder(tmp_path / "c", "pictures"):
            (tmp_path / "c" / "x").write_text(content)
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["x"]
    (tmp_path / "empty").mkdir()
    with writing_folder(tmp_path / "empty", "pictures"):
        pass
    assert (tmp_path / "empty").is_dir()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write pictures into"), writing_folder(tmp_path / "file", "pictures"):
        pass
    with (
        pytest.raises(StorageError, match="the lock of the results"),
        writing_file(tmp_path / "no" / "r", "the results"),
    ):
        pass


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux has a folder in which no file can be made")
@pytest.mark.parametrize("wait", [False, True])
def test_where_no_file_can_be_made_nobody_else_is_said_to_write(wait: bool) -> None:
    with (
        pytest.raises(StorageError, match="cannot write the lock of the results /proc/x into /proc: No such file"),
        writing_file(Path("/proc/x"), "the results", wait=wait),
    ):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(StorageError, match=r"is on a file system without locks .*rpc\.statd"),
        held(tmp_path / "x", "x"),
    ):
        pass
