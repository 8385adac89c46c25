"""The atomic writer: whole or untouched, whoever else writes, and with the mode that the file should have."""

import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from anomaly.errors import StorageError
from anomaly.files import replacing, storing, to_text, write_atomically


@pytest.fixture
def umask() -> Iterator[None]:
    """An umask under which a file that was made privately would differ from one that was not."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for data in (b"", b"first", b"\x00\xff"):
        write_atomically(path, data)
        assert path.read_bytes() == data
        assert list(tmp_path.iterdir()) == [path]


def test_until_the_end_the_old_file_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with replacing(path) as work:
        work.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert (work.parent, work.name[:7], work.suffix) == (tmp_path, ".a.bin.", ".partial")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_failure_leaves_what_was_there(tmp_path: Path, before: bytes | None, error: type[BaseException]) -> None:
    path = tmp_path / "a.bin"
    if before is not None:
        path.write_bytes(before)
    files = list(tmp_path.iterdir())

    def fail_halfway() -> None:
        with replacing(path) as work:
            work.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert list(tmp_path.iterdir()) == files
    assert before is None or path.read_bytes() == before


def test_a_folder_in_the_way_leaves_no_work_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "a", b"data")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "a", b"data")


def test_two_writers_at_once_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with replacing(path) as one, replacing(path) as other:
        assert one != other
        one.write_bytes(b"1")
        other.write_bytes(b"2")
    assert path.read_bytes() == b"1"  # the inner one ended first
    assert list(tmp_path.iterdir()) == [path]


def test_many_threads_write_one_file(tmp_path: Path) -> None:
    path, contents = tmp_path / "a.bin", [bytes([i]) * 50_000 for i in range(8)]
    threads = [threading.Thread(target=write_atomically, args=(path, data)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("umask")
def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"data")
    assert mode_of(tmp_path / "a") == 0o640


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("mode", [0o600, 0o666, 0o444, 0o755])
def test_an_existing_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a"
    path.touch()
    path.chmod(mode)
    with replacing(path) as work:
        assert mode_of(work) == 0o600  # so that what is private is not readable for a moment
        work.write_bytes(b"new")
    assert mode_of(path) == mode
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, os.fsdecode(b"\xff" * 255)])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"data")
    assert (tmp_path / name).read_bytes() == b"data"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_was_written_is_on_the_disk_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "a", []

    def note(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", note)
    write_atomically(path, b"data")
    assert synced == [(4, False)]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (
            errno.ENOSPC,
            r"\(1,234 bytes are needed, [\d,]+ bytes are free\)\. Free some space there, or give another --out$",
        ),
        (errno.EDQUOT, r"\(1,234 bytes are needed, .*\. Free some space there, or give another --out$"),
        (
            errno.EFBIG,
            r"\. A file may not be so large .*`ulimit -f`.*, use another .*, or give another --out$",
        ),
        (errno.EACCES, r"\. Allow writing there, or give another --out$"),
        (errno.EROFS, r"\. Give another --out$"),
    ],
)
def test_what_keeps_a_file_from_being_written_is_said_with_the_folder_and_what_to_do(
    tmp_path: Path, number: int, said: str
) -> None:
    with (
        pytest.raises(StorageError, match=f"^cannot write the x into {tmp_path}: {os.strerror(number)}.*{said}"),
        storing("the x", tmp_path, instead="give another --out", num_bytes=1234),
    ):
        raise OSError(number, os.strerror(number))


def test_names_as_text() -> None:
    assert to_text("線 é") == "線 é"
    assert to_text(os.fsdecode(b"caf\xe9\xff")) == r"caf\xe9\xff"


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for path in (tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(OSError, match="a device or a pipe"):
            write_atomically(path, b"data")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert len(list(tmp_path.iterdir())) == 2
