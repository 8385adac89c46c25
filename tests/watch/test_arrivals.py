"""Which files are whole: unchanged for a while, closed, in order; by a clock that the tests move."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from anomaly.watch.arrivals import OPEN_AT_MOST_S, Arrivals, cannot_be_opened, is_open_for_writing
from anomaly.watch.journal import Arrival

SETTLE_S = 1.0


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[..., Arrivals]


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Make:
    def made(known: set[Arrival] = frozenset(), **more: object) -> Arrivals:  # type: ignore[assignment]
        options: dict[str, object] = {"settle_s": SETTLE_S, "is_open": lambda path: False, "now": clock} | more
        return Arrivals(tmp_path, known.__contains__, **options)  # type: ignore[arg-type]

    return made


def names(arrivals: list[Arrival]) -> list[str]:
    return [arrival.path for arrival in arrivals]


def write(path: Path, data: bytes = b"x", *, mtime_s: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if mtime_s is not None:
        os.utime(path, (mtime_s, mtime_s))
    return path


def test_a_file_is_whole_when_it_has_not_changed_for_a_while(tmp_path: Path, make: Make, clock: Clock) -> None:
    arrivals = make()
    path = write(tmp_path / "a.png")
    arrivals.scan()
    assert arrivals.whole(9) == []
    for turn in range(5):  # it grows, slower than anybody looks
        clock.now += SETTLE_S
        write(path, b"x" * (turn + 2))
        assert arrivals.whole(9) == []
    clock.now += SETTLE_S / 2
    assert arrivals.whole(9) == []
    clock.now += SETTLE_S / 2
    found = path.stat()
    assert arrivals.whole(9) == [Arrival("a.png", found.st_size, found.st_mtime_ns)]
    assert len(arrivals) == 0


def test_what_is_said_of_a_file_begins_its_time_anew(tmp_path: Path, make: Make, clock: Clock) -> None:
    """A change may leave size and time as they were."""
    arrivals = make()
    path = write(tmp_path / "a.png")
    arrivals.look([path])
    clock.now = 0.9
    arrivals.look([path])
    clock.now = 1.5
    assert arrivals.whole(9) == []
    clock.now = 2.0
    assert names(arrivals.whole(9)) == ["a.png"]


def test_the_order_is_by_time_of_change_and_name(tmp_path: Path, make: Make, clock: Clock) -> None:
    arrivals = make()
    for name, mtime_s in (("c", 5), ("b", 7), ("a", 7), ("sub/d", 6)):
        write(tmp_path / f"{name}.png", mtime_s=mtime_s)
    arrivals.scan()
    clock.now = 2
    assert names(arrivals.whole(3)) == ["c.png", str(Path("sub/d.png")), "a.png"]
    assert names(arrivals.whole(3)) == ["b.png"]


def test_a_file_that_is_open_waits_for_a_minute_at_most(tmp_path: Path, make: Make, clock: Clock) -> None:
    arrivals = make(is_open=lambda path: True)
    write(tmp_path / "a.png")
    arrivals.scan()
    clock.now = OPEN_AT_MOST_S - 0.1
    assert arrivals.whole(9) == []
    clock.now = OPEN_AT_MOST_S
    assert names(arrivals.whole(9)) == ["a.png"]


def test_what_is_known_gone_or_no_image_does_not_wait(tmp_path: Path, make: Make, clock: Clock) -> None:
    found = write(tmp_path / "known.png").stat()
    arrivals = make({Arrival("known.png", found.st_size, found.st_mtime_ns)})
    for name in ("notes.txt", ".hidden.png", "Thumbs.db", ".sub/x.png", "sub/.partial.png"):
        write(tmp_path / name)
    gone = write(tmp_path / "gone.png")
    (tmp_path / "folder.png").mkdir()
    arrivals.scan()
    arrivals.look(tmp_path.rglob("*"))
    gone.unlink()
    clock.now = 2
    assert arrivals.whole(9) == []
    assert len(arrivals) == 0
    write(tmp_path / "known.png", b"another")
    arrivals.scan()
    clock.now = 4
    assert names(arrivals.whole(9)) == ["known.png"]


def test_files_in_a_folder_that_was_moved_here_are_found(tmp_path: Path, make: Make, clock: Clock) -> None:
    arrivals = make()
    write(tmp_path / "batch" / "deep" / "a.png")
    arrivals.look([tmp_path / "batch"])
    clock.now = 2
    assert names(arrivals.whole(9)) == [str(Path("batch/deep/a.png"))]


def test_nothing_is_looked_for_in_skipped_folders(tmp_path: Path, make: Make, clock: Clock) -> None:
    arrivals = make(skipped=[tmp_path / "normal"])
    for name in ("normal/a.png", "normal/sub/b.png", "normal-2/c.png"):
        write(tmp_path / name)
    arrivals.scan()
    arrivals.look(tmp_path.rglob("*"))
    clock.now = 2
    assert names(arrivals.whole(9)) == [str(Path("normal-2/c.png"))]


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
def test_the_system_tells_who_is_writing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png")
    assert not is_open_for_writing(path)
    with path.open("ab"):
        assert is_open_for_writing(path)
    with path.open("rb"):
        assert not is_open_for_writing(path)
    assert not is_open_for_writing(tmp_path / "gone.png")


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
def test_who_opens_a_file_while_it_is_looked_at_harms_nobody(tmp_path: Path) -> None:
    """A lease that is broken sends a signal; the usual one would end this process."""
    path = write(tmp_path / "a.png")
    is_over = threading.Event()

    def open_again_and_again() -> None:
        while not is_over.is_set():
            path.open("ab").close()

    thread = threading.Thread(target=open_again_and_again)
    thread.start()
    for _ in range(2000):
        is_open_for_writing(path)
    is_over.set()
    thread.join()


def test_a_file_that_nobody_may_open_counts_as_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows does it while another program writes."""
    path = write(tmp_path / "a.png")
    assert not cannot_be_opened(path)
    assert not cannot_be_opened(tmp_path / "gone.png")

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "used by another process")

    monkeypatch.setattr(Path, "open", refuse)
    assert cannot_be_opened(path)
    assert is_open_for_writing(path)


def test_a_link_back_to_a_folder_above_brings_no_picture_twice(tmp_path: Path, make: Make, clock: Clock) -> None:
    """The system tells of files by the path of the link that was made last."""
    arrivals = make()
    write(tmp_path / "lot" / "a.png")
    (tmp_path / "lot" / "back").symlink_to("..")
    arrivals.look([tmp_path / "lot" / "back", tmp_path / "lot"])
    write(tmp_path / "b.png")
    arrivals.look([tmp_path / "lot" / "back" / "b.png", tmp_path / "lot" / "back" / "lot" / "a.png"])
    arrivals.scan()
    clock.now += SETTLE_S
    assert sorted(names(arrivals.whole(9))) == ["b.png", "lot/a.png"]
