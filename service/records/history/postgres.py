"""The history in a PostgreSQL database, which many servers write and read at once.

One advisory lock is held by whoever writes, until the commit is visible: of the rows, of an upgrade, of retention. So
ids ascend in the order of the commits, drift goes on from the row before, and of many servers that start at once on an
empty database one makes the tables while the others wait.

No request waits for a server that does not answer: connecting, waiting for the lock and each statement have limits, and
a connection that has become useless is replaced before it is used (docs/adr/0040-many-replicas.md).
"""

import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from weakref import WeakSet

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, create_engine, exc, func, select, text

from anomaly.errors import UsageError, first_line
from service.records.history.store import NUM_READERS
from service.records.history.tables import (
    SCHEMA_VERSION,
    UPGRADES,
    creating,
    images,
    newer_history,
    older_history,
    taken_over,
    upgrading,
)

logger = logging.getLogger(__name__)

LOCK = 0x416E6F6D
""""Anom": the key of the advisory lock, in the database."""
CONNECT_S = 2
"""The least that libpq knows."""
LIMITS = """
SET statement_timeout = '5s'; SET lock_timeout = '1500ms'; SET idle_in_transaction_session_timeout = '5s';
SET tcp_user_timeout = '10s'; SET client_encoding = 'UTF8'; SET TIME ZONE 'UTC';
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
"""Of each session. A server that is frozen while it has the lock loses it with its session; `off` would lose rows."""
UPGRADE_S = 600
"""How long the tables may take to be made or upgraded by this server, or by another one."""
SAMPLE = 1000
"""Rows by which the size of all is estimated."""
_NEW_IDS = text("SELECT nextval(pg_get_serial_sequence('images', 'id')) FROM generate_series(1, :num)")
_SOUND = re.compile(r"[^@\s]* [\d,]*")
"""A host and a port. A password with a sign that has a meaning in a URL ends up in either."""
_WRONG = re.compile(r"authentication failed|no password supplied|no pg_hba|does not exist|permission denied")
"""In what a database says that answers, but lets nobody in, and will not by itself."""


class PostgresStore:
    """A database, by its URL; raises UsageError if that cannot be understood."""

    retention_s = 10.0
    """In the commit that comes next."""

    def __init__(self, url: str) -> None:
        try:
            parts = conninfo_to_dict(url)
            if not _SOUND.fullmatch(f"{parts.get('host') or ''} {parts.get('port') or ''}"):
                raise ValueError
            for host in str(parts.get("host") or "").split(","):
                if not host.startswith("/"):  # a folder of sockets
                    host.encode("idna")  # as the system does, whose UnicodeError is a ValueError
        except (psycopg.Error, ValueError):  # the message may have a part of the password
            raise UsageError(
                "The history's URL cannot be read; give postgresql://USER@HOST:PORT/DATABASE, with %40 for @, %3A for "
                ": and %2F for / in a password, or leave the password to PGPASSFILE or PGPASSWORD."
            ) from None
        self.name = f"{parts.get('dbname') or parts.get('user') or ''} at {parts.get('host') or 'this machine'}"
        """For messages: without user and password."""
        self._url = url
        self._open_ones: WeakSet[psycopg.Connection] = WeakSet()
        self._writer = self._engine(1)
        self._readers = self._engine(NUM_READERS)
        self._is_checked = False
        self._lock = threading.Lock()

    def open(self) -> str | None:
        """Make or upgrade the tables; why that cannot be done now, if the database does not answer.

        Raises UsageError if it answers and is none to use: who asks is not let in, or it is of a newer version.
        """
        try:
            self._check()
        except UsageError:
            self.close()
            raise
        except exc.DBAPIError as error:
            said = first_line(error.orig or error)
            if isinstance(error, exc.OperationalError) and not _WRONG.search(said):
                return said
            self.close()
            raise UsageError(
                f"The history's database {self.name} cannot be used: {said}. Check user, password (PGPASSFILE, "
                "PGPASSWORD, or in the URL), database and what the user may do in it."
            ) from None
        return None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Raises exc.OperationalError if another server does not let go of the lock, as all that takes too long."""
        if not self._is_checked:
            self._check()
        with self._writer.connect() as connection, connection.begin():
            _wait_for_lock(connection)
            yield connection

    @contextmanager
    def reading(
        self, *, oldest: int = SCHEMA_VERSION, is_unwanted: Callable[[], bool] | None = None
    ) -> Iterator[Connection]:
        """One of NUM_READERS at a time; who comes later waits for CONNECT_S at the most.

        What is unwanted runs on until the statement's limit: to end it sooner takes another connection.
        """
        with self._readers.connect() as connection, connection.begin():
            if not self._is_checked:
                self._check_version(_version_of(connection), oldest=oldest)
            yield connection

    def new_ids(self, connection: Connection, num: int) -> Sequence[int]:
        """Take the next ids of the table's sequence. What a transaction does not commit leaves a gap."""
        return connection.execute(_NEW_IDS, {"num": num}).scalars().all()

    def num_too_many(self, connection: Connection, max_bytes: int) -> int:
        """By the number of rows and the mean size of the newest.

        Deleted rows leave room that PostgreSQL uses again, so its files do not tell what the rows take. There are as
        many as ids, but for the gaps that failed commits left; its statistics know these, and are a second late.
        """
        first, last = connection.execute(select(func.min(images.c.id), func.max(images.c.id))).one()
        if first is None:
            return 0
        newest = select(func.pg_column_size(text("images.*")).label("num")).select_from(images)
        newest = newest.order_by(images.c.id.desc()).limit(SAMPLE)
        mean = float(connection.execute(select(func.avg(newest.subquery().c.num))).scalar_one())
        counted = connection.execute(text("SELECT pg_stat_get_live_tuples('images'::regclass)")).scalar_one()
        num: int = min(last - first + 1, counted or last)
        return max(0, num - int(max_bytes / mean))

    def is_same(self) -> bool:
        """Nothing is asked: a database that is gone says so when it is used."""
        return True

    def drop(self) -> None:
        """What comes next may be another database, of another version."""
        self._is_checked = False
        self._writer.dispose()

    def close(self) -> None:
        """Ends waits by their sockets: nothing else ends the wait for a server that is frozen."""
        for connection in list(self._open_ones):
            with suppress(OSError, psycopg.Error), socket.socket(fileno=connection.fileno()) as taken:
                taken.shutdown(socket.SHUT_RDWR)
                taken.detach()
        self._writer.dispose()
        self._readers.dispose()

    def _engine(self, size: int) -> Engine:
        return create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            pool_size=size,
            max_overflow=0,
            pool_timeout=CONNECT_S,
            pool_pre_ping=True,
            hide_parameters=True,
        )

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(
            self._url, connect_timeout=CONNECT_S, application_name="anomaly",
            keepalives_idle=5, keepalives_interval=2, keepalives_count=3, tcp_user_timeout=10_000,
        )  # fmt: skip
        try:
            connection.execute(LIMITS)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        self._open_ones.add(connection)
        return connection

    def _check(self) -> None:
        """Make the tables, or upgrade them, if need be. Raises UsageError or exc.SQLAlchemyError."""
        with self._lock, self._writer.connect() as connection:
            with connection.begin():
                version = _version_of(connection)
            if version != SCHEMA_VERSION:
                with connection.begin():
                    connection.execute(text(f"SET LOCAL lock_timeout = '{UPGRADE_S}s'"))
                    connection.execute(text(f"SET LOCAL statement_timeout = '{UPGRADE_S}s'"))
                    _wait_for_lock(connection)
                    older = self._upgrade(connection)
                if older is not None:
                    logger.warning(taken_over(f"the history in the database {self.name}", older))
        self._is_checked = True

    def _upgrade(self, connection: Connection) -> int | None:
        """With the lock: what another server did meanwhile is there. The version that was upgraded, if any was."""
        encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
        if encoding != "UTF8":
            raise UsageError(f"The database {self.name} has the encoding {encoding}; make one with ENCODING 'UTF8'.")
        version = _version_of(connection)
        if version is None:
            self._create(connection)
            return None
        for older in range(version, SCHEMA_VERSION):
            for statement in upgrading(older, connection.dialect):
                connection.exec_driver_sql(statement)
            connection.execute(text("UPDATE history_version SET version = :version"), {"version": older + 1})
        self._check_version(_version_of(connection))
        return version if version < SCHEMA_VERSION else None

    def _create(self, connection: Connection) -> None:
        if _has_table("images", connection):
            raise UsageError(
                f"The database {self.name} has a table `images` of another program; name a database that is empty, or "
                "a schema of it (?options=-csearch_path%3DNAME)."
            )
        for statement in creating(connection.dialect):
            connection.exec_driver_sql(statement)
        connection.execute(text("CREATE TABLE history_version (version INTEGER NOT NULL)"))
        connection.execute(text("INSERT INTO history_version VALUES (:version)"), {"version": SCHEMA_VERSION})

    def _check_version(self, version: int | None, *, oldest: int = SCHEMA_VERSION) -> None:
        if version is not None and version > SCHEMA_VERSION:
            raise newer_history(f"the database {self.name}", version)
        if version is not None and version in UPGRADES and version < oldest:
            raise older_history(f"the database {self.name}", version)
        if version is None or not oldest <= version <= SCHEMA_VERSION:
            what = "no history" if version is None else f"a history of version {version}"
            raise UsageError(
                f"The database {self.name} has {what}, and not one of version {SCHEMA_VERSION}; name one that is "
                "empty, or one that `anomaly serve --history` made."
            )


def _wait_for_lock(connection: Connection) -> None:
    connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


def _version_of(connection: Connection) -> int | None:
    """None if there is no history."""
    if not _has_table("history_version", connection):
        return None
    version: int = connection.execute(text("SELECT version FROM history_version")).scalar_one()
    return version


def _has_table(name: str, connection: Connection) -> bool:
    """By the catalog itself: `to_regclass` may remember from before the wait for a lock that there is none."""
    query = text("SELECT count(*) FROM pg_class WHERE relname = :name AND pg_table_is_visible(oid)")
    return bool(connection.execute(query, {"name": name}).scalar_one())
