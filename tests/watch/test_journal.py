"""The journal keeps each state through the end of the process, and is one folder's and one process'."""

import resource
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from anomaly.errors import StorageError, UsageError
from anomaly.watch.journal import Arrival, Report, open_journal

A, B, C = (Arrival(f"{name}.png", 10, mtime_ns) for name, mtime_ns in (("a", 3), ("b", 1), ("c", 1)))


def report(arrival: Arrival) -> Report:
    return Report(arrival, f"id-{arrival.mtime_ns}", {"path": arrival.path, "score": 0.1 + 0.2, "error": None})


def test_each_state_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_journal(path, tmp_path) as journal:
        journal.accept([A, B, C])
    with open_journal(path, tmp_path) as journal:
        assert journal.accepted(9) == [B, C, A]
        assert journal.accepted(2) == [B, C]
        journal.keep_scored([report(B), report(A)])
    with open_journal(path, tmp_path) as journal:
        assert journal.accepted(9) == [C]
        assert journal.scored(9) == [report(B), report(A)]
        journal.keep_reported([report(B)])
    with open_journal(path, tmp_path) as journal:
        assert journal.scored(9) == [report(A)]
        assert journal.reported(9) == [report(B)]
        assert [journal.count(state) for state in ("accepted", "scored", "reported")] == [1, 1, 1]
        assert all(map(journal.knows, (A, B, C)))
        journal.withdraw([B, C])
        assert [journal.knows(arrival) for arrival in (A, B, C)] == [True, False, False]


def test_a_file_that_was_reported_is_forgotten_when_another_takes_its_path(tmp_path: Path) -> None:
    later = Arrival(A.path, A.size, A.mtime_ns + 1)
    with open_journal(tmp_path / "journal", tmp_path) as journal:
        journal.accept([A])
        journal.accept([later])
        assert journal.accepted(9) == [A, later]  # nothing is dropped that waits
        journal.keep_scored([report(A)])
        journal.keep_reported([report(A)])
        journal.accept([Arrival(A.path, A.size, A.mtime_ns + 2)])
        assert not journal.knows(A)
        assert journal.knows(later)


def test_names_that_are_no_text_are_kept(tmp_path: Path) -> None:
    odd = Arrival("a\udcff\n.png", 1, 1)
    with open_journal(tmp_path / "journal", tmp_path) as journal:
        journal.accept([odd])
        journal.keep_scored([report(odd)])
        assert journal.scored(1) == [report(odd)]


def test_what_is_none_of_ours_is_left_alone(tmp_path: Path) -> None:
    text, other = tmp_path / "text", tmp_path / "other.sqlite"
    text.write_text("some text that is longer than the head of a database, which has 100 bytes" * 3)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(UsageError, match="is no journal of `anomaly watch`"), open_journal(path, tmp_path):
            pass
        assert path.read_bytes() == before


def test_a_journal_elsewhere_is_of_one_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    for _ in range(2):
        with open_journal(tmp_path / "journal", tmp_path / "one"):
            pass
    with (
        pytest.raises(UsageError, match=f"is the journal of the folder {tmp_path / 'one'}; give each folder"),
        open_journal(tmp_path / "journal", tmp_path / "two"),
    ):
        pass


def test_one_in_the_folder_goes_with_it(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with open_journal(tmp_path / "one" / "journal", tmp_path / "one") as journal:
        journal.accept([A])
    (tmp_path / "one").rename(tmp_path / "two")
    with open_journal(tmp_path / "two" / "journal", tmp_path / "two") as journal:
        assert journal.knows(A)


def test_two_processes_cannot_have_it(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from anomaly.errors import StorageError
from anomaly.watch.journal import open_journal
try:
    with open_journal(Path({str(tmp_path / "journal")!r}), Path({str(tmp_path)!r})):
        pass
except StorageError as error:
    print(error)
"""
    with open_journal(tmp_path / "journal", tmp_path):
        told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "cannot be written: database is locked" in told


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="cannot be written: unable to open"),
        open_journal(tmp_path / "no" / "journal", tmp_path),
    ):
        pass


def test_a_journal_that_can_be_opened_has_room_to_note_reports(tmp_path: Path) -> None:
    """Else each start on a full disk would send the same reports again. The disk is a limit on the size of files."""
    arrivals = [Arrival(f"{n:09}.png", 10, (n * 7919) % 1000) for n in range(1000)]  # not in the order of their names
    was_opened: list[bool] = []
    for limit in (2**13, 2**16, 2**18, 2**20, 2**21, 2**23):
        path = tmp_path / str(limit)
        with open_journal(path, tmp_path) as journal:
            journal.accept(arrivals)
            journal.keep_scored([Report(a, f"{n:016}", {"path": "p" * 1500}) for n, a in enumerate(arrivals)])
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            was_opened.append(_note_100(path, tmp_path))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        with open_journal(path, tmp_path) as journal:
            assert journal.count("scored") == (900 if was_opened[-1] else 1000)
    assert was_opened == sorted(was_opened)
    assert set(was_opened) == {False, True}


def _note_100(path: Path, folder: Path) -> bool:
    """Whether the journal could be opened; then what follows must work, too."""
    with ExitStack() as stack:
        try:
            journal = stack.enter_context(open_journal(path, folder))
        except StorageError as error:
            assert "Free some space" in str(error)  # noqa: PT017  # a small disk may be refused
            return False
        journal.keep_reported(journal.scored(100))
    return True
