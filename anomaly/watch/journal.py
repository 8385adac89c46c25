"""What was accepted, scored and reported, in a file that outlives the process: nothing is lost by a kill.

A file of the folder goes through three states, each committed before the next begins: *accepted* (it is whole, and
will be reported), *scored* (its row waits for the target), *reported*. One that is reported stays here, so that it is
not taken for a new one; one that was moved away is forgotten. Whatever is interrupted is done again from the state
before, so a report may come twice, with the same id.

SQLite in WAL mode with synchronous=FULL: a commit survives the loss of power. It is locked by one process, which needs
no memory shared with others, so it works on network drives that have locks.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from anomaly.errors import StorageError, UsageError
from anomaly.pipeline.results import ResultRow

APPLICATION_ID = 0x416E6F57  # "AnoW" in the file's head: no other program's database is ever written to
_SCHEMA = """
CREATE TABLE files (
    path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('accepted', 'scored', 'reported')),
    id TEXT, row TEXT,
    PRIMARY KEY (path, size, mtime_ns)
) WITHOUT ROWID;
CREATE INDEX by_state ON files (state, mtime_ns, path);
CREATE TABLE watched (folder BLOB NOT NULL);
"""
_ROOM = 2**19  # bytes; to note that 100 reports have arrived takes less


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file as it was when it was found whole: path in the folder, size in bytes, time of its last change."""

    path: str
    size: int
    mtime_ns: int

    @property
    def key(self) -> tuple[bytes, int, int]:
        """What the journal knows the file by: path, size, and the time of its last change."""
        return os.fsencode(self.path), self.size, self.mtime_ns


@dataclass(frozen=True, slots=True)
class Report:
    """A scored file, the id of its report, and the result row, which has the id too."""

    arrival: Arrival
    id: str
    row: ResultRow


class Journal:
    """The states of the files of one folder."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def knows(self, arrival: Arrival) -> bool:
        """Whether this file, unchanged since, is in any state."""
        query = "SELECT 1 FROM files WHERE path = ? AND size = ? AND mtime_ns = ?"
        return self._one(query, arrival.key) is not None

    def accept(self, arrivals: Sequence[Arrival]) -> None:
        """New files. What was reported of earlier files of these paths is forgotten."""
        with self._changing() as connection:
            connection.executemany(
                "DELETE FROM files WHERE path = ? AND state = 'reported'", [(arrival.key[0],) for arrival in arrivals]
            )
            connection.executemany(
                "INSERT OR IGNORE INTO files VALUES (?, ?, ?, 'accepted', NULL, NULL)", [a.key for a in arrivals]
            )

    def withdraw(self, arrivals: Sequence[Arrival]) -> None:
        """These were changed before they could be read, or were moved away: they are no longer of these keys."""
        with self._changing() as connection:
            connection.executemany(
                "DELETE FROM files WHERE path = ? AND size = ? AND mtime_ns = ?", [arrival.key for arrival in arrivals]
            )

    def keep_scored(self, reports: Sequence[Report]) -> None:
        """These wait for the target."""
        changes = [(report.id, json.dumps(report.row, allow_nan=False), *report.arrival.key) for report in reports]
        with self._changing() as connection:
            connection.executemany(
                "UPDATE files SET state = 'scored', id = ?, row = ? WHERE path = ? AND size = ? AND mtime_ns = ?",
                changes,
            )

    def keep_reported(self, reports: Sequence[Report]) -> None:
        """These have arrived at the target."""
        with self._changing() as connection:
            connection.executemany(
                "UPDATE files SET state = 'reported' WHERE path = ? AND size = ? AND mtime_ns = ?",
                [report.arrival.key for report in reports],
            )

    def accepted(self, limit: int) -> list[Arrival]:
        """The first to be scored, by time of change and path."""
        return [_arrival(found[:3]) for found in self._in_state("accepted", limit)]

    def scored(self, limit: int) -> list[Report]:
        """The first to be reported, in the same order."""
        return [_report(found) for found in self._in_state("scored", limit)]

    def reported(self, limit: int) -> list[Report]:
        """The first of those that lie in the folder."""
        return [_report(found) for found in self._in_state("reported", limit)]

    def count(self, state: str) -> int:
        """How many files are in this state."""
        found = self._one("SELECT count(*) FROM files WHERE state = ?", (state,))
        assert found is not None
        (num,) = found
        assert isinstance(num, int)
        return num

    def _in_state(self, state: str, limit: int) -> list[tuple[bytes, int, int, str, str]]:
        query = "SELECT path, size, mtime_ns, id, row FROM files WHERE state = ? ORDER BY mtime_ns, path LIMIT ?"
        with _naming(self._path):
            return self._connection.execute(query, (state, limit)).fetchall()

    def _one(self, query: str, values: tuple[object, ...]) -> tuple[object, ...] | None:
        with _naming(self._path):
            found: tuple[object, ...] | None = self._connection.execute(query, values).fetchone()
            return found

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with _naming(self._path), self._connection:
            yield self._connection


@contextmanager
def open_journal(path: Path, folder: Path) -> Iterator[Journal]:
    """The journal `path` of `folder`, made where there is none.

    Raises:
        StorageError: it cannot be written, or another process has it.
        UsageError: the file is none of ours, or the journal of another folder.
    """
    with _naming(path), closing(sqlite3.connect(path, timeout=1.0)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        _prepare(connection, path, folder)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _take_room(connection)
        yield Journal(path, connection)


def _prepare(connection: sqlite3.Connection, path: Path, folder: Path) -> None:
    """The tables are made in one commit, so a kill leaves an empty file or a journal."""
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    (num_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not num_tables:
        connection.executescript(f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {_SCHEMA} COMMIT;")
    elif found != APPLICATION_ID:
        raise UsageError(f"{path} is no journal of `anomaly watch`; give another file for --journal")
    if folder.resolve() in path.resolve().parents:
        return  # it goes where the folder goes
    with connection:
        known = connection.execute("SELECT folder FROM watched").fetchone()
        if known is None:
            connection.execute("INSERT INTO watched VALUES (?)", (os.fsencode(folder.resolve()),))
        elif known[0] != os.fsencode(folder.resolve()):
            raise UsageError(
                f"{path} is the journal of the folder {os.fsdecode(known[0])}; give each folder a --journal of its own"
            )


def _take_room(connection: sqlite3.Connection) -> None:
    """Room on the disk for the next commits. Raises sqlite3.OperationalError where there is none.

    Without it a watcher that is started again and again on a full disk would send the same reports at each start, and
    could never note that they have arrived. What is written here is the part of the WAL file that they overwrite.
    """
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()  # what a kill has left in the WAL file
    connection.execute("PRAGMA secure_delete = OFF")  # else what is dropped is written once more, as zeros
    with connection:
        connection.execute("CREATE TABLE IF NOT EXISTS room (id INTEGER PRIMARY KEY, bytes BLOB)")
        connection.execute("INSERT OR REPLACE INTO room VALUES (1, zeroblob(?))", (_ROOM,))
    with connection:
        connection.execute("DROP TABLE room")
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise UsageError(f"{path} is no journal of `anomaly watch`; give another file for --journal") from error
        raise StorageError(
            f"the journal {path} cannot be written: {error}. Free some space, see that no other process uses it, or "
            "give another --journal"
        ) from error


def _arrival(found: Sequence[object]) -> Arrival:
    path, size, mtime_ns = found
    assert isinstance(path, bytes)
    assert isinstance(size, int)
    assert isinstance(mtime_ns, int)
    return Arrival(os.fsdecode(path), size, mtime_ns)


def _report(found: tuple[bytes, int, int, str, str]) -> Report:
    *key, report_id, row = found
    return Report(_arrival(key), report_id, json.loads(row))
