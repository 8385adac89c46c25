"""The file: its schema, how it is opened, and what one row holds.

SQLite in WAL mode, so that readers and the one writer do not wait for each other. Commits are synchronous=FULL: an
acknowledged row survives the loss of power, not only of the process (docs/adr/0013-history.md). Space of deleted rows
goes back to the file system at once (auto_vacuum=FULL), so that the file is as large as what it holds.

A file of an older version gets the columns it lacks when its writer opens it, in one transaction; its rows stay as they
are. The table is not written anew, so it takes no time whatever the file's size.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.errors import UsageError

Correction = Literal["normal", "anomalous"]

APPLICATION_ID = 0x416E6F6D  # "Anom" in the file's head: no other program's database is ever written to
SCHEMA_VERSION = 2
BUSY_S = 0.5
"""How long another program's lock on the file is waited for."""
THUMBNAIL_SIDE = 96
"""The longest side of a thumbnail, in pixels."""

SCHEMA = """
CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL, time TEXT NOT NULL,
    model TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL,
    filename TEXT NOT NULL, image_hash TEXT NOT NULL,
    score REAL NOT NULL, p_value REAL NOT NULL, threshold REAL, alpha REAL NOT NULL, is_anomalous INTEGER,
    correction TEXT CHECK (correction IN ('normal', 'anomalous')), corrected_by TEXT, corrected_at TEXT,
    thumbnail BLOB, part TEXT, terms TEXT
);
CREATE INDEX images_by_time ON images (time);
CREATE INDEX images_corrected ON images (image_hash) WHERE correction IS NOT NULL;
"""
UPGRADES = {1: ("ALTER TABLE images ADD COLUMN part TEXT", "ALTER TABLE images ADD COLUMN terms TEXT")}
"""By the version of a file: what makes it one of the next version."""
COLUMNS = (
    "id", "request_id", "time", "model", "version", "digest", "filename", "image_hash", "score", "p_value", "threshold",
    "alpha", "is_anomalous", "correction", "corrected_by", "corrected_at", "part", "terms",
)  # fmt: skip
SELECT = f"SELECT {', '.join(COLUMNS)}, thumbnail IS NOT NULL FROM images"  # noqa: S608  # the names are above
_INSERTED = (*COLUMNS[1:13], "part", "terms", "thumbnail")
INSERT = f"INSERT INTO images ({', '.join(_INSERTED)}) VALUES ({', '.join('?' * len(_INSERTED))})"  # noqa: S608


@dataclass(frozen=True)
class HistoryEntry:
    """One scored image on its way into the history: `data` as it was sent, `pixels` (c, h, w) as it was seen."""

    request_id: str
    time: str
    model: str
    version: int
    digest: str
    filename: str | None
    part: str | None
    data: bytes = field(repr=False)
    pixels: NDArray[np.uint8] = field(repr=False)
    score: float
    p_value: float
    threshold: float | None
    alpha: float
    is_anomalous: bool | None
    terms: dict[str, float]

    def values(self, *, with_thumbnail: bool) -> tuple[object, ...]:
        """What INSERT takes. Hashes and draws, so it is not for the event loop."""
        return (
            self.request_id, self.time, self.model, self.version, self.digest, self.filename or "",
            sha256(self.data).hexdigest(), self.score, self.p_value, self.threshold, self.alpha, self.is_anomalous,
            self.part, json.dumps(self.terms), draw_thumbnail(self.pixels) if with_thumbnail else None,
        )  # fmt: skip


@dataclass(frozen=True)
class StoredEntry:
    """One image of the history; times are UTC in ISO 8601, `image_hash` is the SHA-256 of the bytes as sent.

    `filename` and `part` are None where the client did not say, `terms` is None in rows of version 1.
    """

    id: int
    request_id: str
    time: str
    model: str
    version: int
    digest: str
    filename: str | None
    image_hash: str
    score: float
    p_value: float
    threshold: float | None
    alpha: float
    is_anomalous: bool | None
    correction: Correction | None
    corrected_by: str | None
    corrected_at: str | None
    part: str | None
    terms: dict[str, float] | None
    has_thumbnail: bool

    @classmethod
    def of(cls, values: tuple[object, ...]) -> "StoredEntry":
        """From what SELECT gives."""
        named: dict[str, Any] = dict(zip((*COLUMNS, "has_thumbnail"), values, strict=True))
        for name in ("is_anomalous", "has_thumbnail"):
            named[name] = None if named[name] is None else bool(named[name])
        named["filename"] = named["filename"] or None  # the column may not be null, since version 1
        named["terms"] = named["terms"] and json.loads(named["terms"])
        return cls(**named)


def open_store(path: Path) -> sqlite3.Connection:
    """The file for its one writer, made if it is not there, of this version, readable by its owner only.

    Raises UsageError if it is something else than a history; sqlite3.Error or OSError if it cannot be opened.
    """
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        if connection.execute("PRAGMA schema_version").fetchone() == (0,):
            connection.execute("PRAGMA auto_vacuum = FULL")
            connection.executescript(
                f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; "
                "COMMIT;"
            )
        upgrade_store(connection)
        check_store(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {16 * 2**20}")
        connection.execute("SELECT id FROM images LIMIT 1").fetchone()  # makes the log beside the file
    except BaseException:
        connection.close()
        raise
    return connection


def upgrade_store(connection: sqlite3.Connection) -> None:
    """Make a history of an older version one of this version; anything else stays as it is. Raises sqlite3.Error."""
    application, version = _kind_of(connection)
    if application != APPLICATION_ID or version not in UPGRADES:
        return
    connection.execute("BEGIN IMMEDIATE")
    while (version := _kind_of(connection)[1]) in UPGRADES:  # asked again: only now nobody else changes it
        for statement in UPGRADES[version]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version + 1}")
    connection.execute("COMMIT")


def checkpoint_log(connection: sqlite3.Connection) -> None:
    """Write all that is in the log into the file itself, by whatever names the two go now.

    SQLite does not do so when it closes a file that was renamed, and deletes the log when it makes a new one there.
    Raises sqlite3.Error.
    """
    is_busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise sqlite3.OperationalError("the history's log is in use")


@contextmanager
def reading(
    path: Path, check_place: Callable[[], None] = lambda: None, *, oldest: int = SCHEMA_VERSION
) -> Iterator[sqlite3.Connection]:
    """A connection for one reader, of a file that must be there. Raises UsageError or sqlite3.Error.

    `oldest` is the oldest version that the reader knows how to read.

    It is opened read-only. A connection that may write brings the log into the file when it is the last to close; if
    the file was replaced, that is the log of another file. `check_place` raises if the file at the path is not the one
    that is meant. It is asked before the log is opened, as to open another file beside a log in use would harm both,
    and again when all is read.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=BUSY_S, uri=True)) as connection:
        check_place()
        check_store(connection, path, oldest=oldest)
        yield connection
        check_place()


def check_store(connection: sqlite3.Connection, path: Path, *, oldest: int = SCHEMA_VERSION) -> None:
    """Raise UsageError unless the file is a history of this version, or of one since `oldest`."""
    application, version = _kind_of(connection)
    if application != APPLICATION_ID or not oldest <= version <= SCHEMA_VERSION:
        what = f"of version {version}" if application == APPLICATION_ID else "of another program"
        raise UsageError(
            f"{path} is a database {what}, and not a history of version {SCHEMA_VERSION}; name a file that is not "
            "there yet, or one that `anomaly serve --history` made."
        )


def _kind_of(connection: sqlite3.Connection) -> tuple[int, int]:
    """Whose file it is, and of which version."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def as_text(moment: datetime) -> str:
    """A time as rows have it, which sorts as text does: UTC; what has no zone is taken for UTC.

    What lies beyond the calendar's ends in UTC is at them.
    """
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        moment = moment.replace(tzinfo=UTC)
    return moment.isoformat(timespec="milliseconds")


def draw_thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """A small WebP file of an image (c, h, w), grey or colour."""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()
