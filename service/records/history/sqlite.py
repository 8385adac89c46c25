"""The history in one SQLite file: how it is made, opened, upgraded and left when it is moved.

SQLite in WAL mode, so that readers and the one writer do not wait for each other. Commits are synchronous=FULL: an
acknowledged row survives the loss of power, not only of the process (docs/adr/0013-history.md). Space of deleted rows
goes back to the file system at once (auto_vacuum=FULL), so that the file is as large as what it holds.

A file of an older version gets the columns and tables it lacks when its writer opens it, in one transaction; its rows
stay as they are. The table is not written anew, so it takes no time whatever the file's size.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, exc
from sqlalchemy.dialects.sqlite import dialect

from anomaly.errors import UsageError
from service.records.history.place import HistoryPlace
from service.records.history.tables import (
    SCHEMA_VERSION,
    UPGRADES,
    creating,
    newer_history,
    older_history,
    taken_over,
    upgrading,
)

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x416E6F6D  # "Anom" in the file's head: no other program's database is ever written to
BUSY_S = 0.5
"""How long another program's lock on the file is waited for."""
STEPS = 100_000
"""Of SQLite's machine, some milliseconds: how often a search asks whether it is still wanted."""
PIECE = 64
"""Rows that are deleted at a time until the file is small enough."""


class SqliteStore:
    """A file, which need not be there yet."""

    retention_s = 0.0
    """Old rows go in the commit that needs their room."""

    def __init__(self, path: Path) -> None:
        self.place = HistoryPlace(path)
        self._writer = _engine(partial(open_file, path))
        event.listen(self._writer, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        self._reader = _engine(self._open_to_read)
        self._connection: Connection | None = None

    def open(self) -> None:
        """Raises UsageError if the file cannot be used."""
        path = self.place.path
        try:
            self._open()
        except (exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise UsageError(
                f"The history {path} cannot be opened: {getattr(error, 'orig', error)}. Name a file in a folder that "
                "exists and may be written to, or leave --history out."
            ) from None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Raises FileNotFoundError, before or after the commit, if the file is not the one at the path any more."""
        connection = self._connection or self._open()
        self.place.check()
        with connection.begin():
            yield connection
        self.place.check()

    @contextmanager
    def reading(
        self, *, oldest: int = SCHEMA_VERSION, is_unwanted: Callable[[], bool] | None = None
    ) -> Iterator[Connection]:
        """Opened read-only, of a file that must be there.

        A connection that may write brings the log into the file when it is the last to close; if the file was
        replaced, that is the log of another file.
        """
        with self._reader.connect() as connection:
            check_file(_raw(connection), self.place.path, oldest=oldest)
            _raw(connection).set_progress_handler(is_unwanted, STEPS)
            yield connection
            self._check_place()

    def new_ids(self, connection: Connection, num: int) -> range:
        """After the highest that was ever in the table, of which SQLite takes note."""
        last = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'images'").scalar() or 0
        return range(last + 1, last + 1 + num)

    def num_too_many(self, connection: Connection, max_bytes: int) -> int:
        """A piece of them, as long as the file would have more bytes than that after this transaction."""
        size, pages, free = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_size", "page_count", "freelist_count")
        )
        return PIECE if size * (pages - free) > max_bytes else 0  # the commit gives free pages back

    def is_same(self) -> bool:
        """Whether the file at the path, and its log, are those that are open."""
        return self.place.is_same()

    def drop(self) -> None:
        """Close the file; one that was moved only when all its rows are in it."""
        if self._connection is None:
            return
        try:
            self.place.check()
        except FileNotFoundError:
            try:
                self._connection.rollback()
                _checkpoint_log(_raw(self._connection))
            except (exc.SQLAlchemyError, sqlite3.Error) as error:
                logger.error("rows of the history that was moved are still in its log: %s", error)
                return
        with suppress(exc.SQLAlchemyError, sqlite3.Error):
            self._connection.close()
        self._connection = None
        self.place.closed()

    def close(self) -> None:
        """Nothing is left to do: each reader closes its connection, and nothing ends the wait for a disk."""

    def _open(self) -> Connection:
        self.place.check_log()
        self._connection = self._writer.connect()
        self.place.opened()
        return self._connection

    def _open_to_read(self) -> sqlite3.Connection:
        """Asks for the place when the file is open and before its log is: another file beside it would be harmed."""
        uri = f"{self.place.path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, timeout=BUSY_S, uri=True, isolation_level=None, check_same_thread=False)
        try:
            self._check_place()
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_place(self) -> None:
        """Where the writer has its file open, or had last, it is the one to read."""
        if self.place.file:
            self.place.check()


def open_file(path: Path) -> sqlite3.Connection:
    """The file for its one writer, made if it is not there, of this version, readable by its owner only.

    Raises UsageError if it is something else than a history; sqlite3.Error or OSError if it cannot be opened.
    """
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        if connection.execute("PRAGMA schema_version").fetchone() == (0,):
            connection.execute("PRAGMA auto_vacuum = FULL")
            connection.executescript(
                f"BEGIN; {'; '.join(creating(dialect()))}; PRAGMA application_id = {APPLICATION_ID}; "
                f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        older = upgrade_file(connection)
        if older is not None:
            logger.warning(taken_over(f"the history {path}", older))
        check_file(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {16 * 2**20}")
        connection.execute("SELECT id FROM images LIMIT 1").fetchone()  # makes the log beside the file
    except BaseException:
        connection.close()
        raise
    return connection


def upgrade_file(connection: sqlite3.Connection) -> int | None:
    """Make a history of an older version one of this version; anything else stays as it is. Raises sqlite3.Error.

    The version that it had; None if nothing was done.
    """
    application, older = _kind_of(connection)
    if application != APPLICATION_ID or older not in UPGRADES:
        return None
    connection.execute("BEGIN IMMEDIATE")
    while (version := _kind_of(connection)[1]) in UPGRADES:  # asked again: only now nobody else changes it
        for statement in upgrading(version, dialect()):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version + 1}")
    connection.execute("COMMIT")
    return older


def check_file(connection: sqlite3.Connection, path: Path, *, oldest: int = SCHEMA_VERSION) -> None:
    """Raise UsageError unless the file is a history of this version, or of one since `oldest`."""
    application, version = _kind_of(connection)
    if application == APPLICATION_ID and version > SCHEMA_VERSION:
        raise newer_history(str(path), version)
    if application == APPLICATION_ID and version in UPGRADES and version < oldest:
        raise older_history(str(path), version)
    if application != APPLICATION_ID or not oldest <= version <= SCHEMA_VERSION:
        what = f"of version {version}" if application == APPLICATION_ID else "of another program"
        raise UsageError(
            f"{path} is a database {what}, and not a history of version {SCHEMA_VERSION}; name a file that is not "
            "there yet, or one that `anomaly serve --history` made."
        )


def _engine(connect: Callable[[], sqlite3.Connection]) -> Engine:
    """Connections that are opened so, and closed when they are left."""
    return create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    return cast("sqlite3.Connection", raw)


def _checkpoint_log(connection: sqlite3.Connection) -> None:
    """Write all that is in the log into the file itself, by whatever names the two go now.

    SQLite does not do so when it closes a file that was renamed, and deletes the log when it makes a new one there.
    Raises sqlite3.Error.
    """
    is_busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise sqlite3.OperationalError("the history's log is in use")


def _kind_of(connection: sqlite3.Connection) -> tuple[int, int]:
    """Whose file it is, and of which version."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version
