"""The tables of the history, the same in every store, and what makes an older version one of this version.

Times are text, UTC in ISO 8601, so that they sort alike everywhere. Scores are doubles, kept to the bit.
"""

from collections.abc import Sequence

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
    select,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from anomaly.errors import UsageError

SCHEMA_VERSION = 3

metadata = MetaData()
_id = BigInteger().with_variant(Integer(), "sqlite")
_time = Text().with_variant(Text(collation="C"), "postgresql")
images = Table(
    "images",
    metadata,
    Column("id", _id, Identity(), primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("time", _time, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("image_hash", Text, nullable=False),
    Column("score", Double, nullable=False),
    Column("p_value", Double, nullable=False),
    Column("threshold", Double),
    Column("alpha", Double, nullable=False),
    Column("is_anomalous", Boolean),
    Column("correction", Text, CheckConstraint("correction IN ('normal', 'anomalous')")),
    Column("corrected_by", Text),
    Column("corrected_at", _time),
    Column("thumbnail", LargeBinary),
    Column("part", Text),
    Column("terms", Text),
    sqlite_autoincrement=True,
)
"""One row for each scored image. Ids ascend in the order of the commits, and none is used again."""
_indexes = [
    Index("images_by_time", images.c.time),
    Index(
        "images_corrected",
        images.c.image_hash,
        sqlite_where=images.c.correction.is_not(None),
        postgresql_where=images.c.correction.is_not(None),
    ),
]
_by_request = Index("images_by_request", images.c.request_id)
"""Not in SQLite: a file is one machine's, and all its rows are read in a second."""
drift = Table(
    "drift",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("num_scores", BigInteger, nullable=False),
    Column("alarm_time", _time),
    Column("state", LargeBinary, nullable=False),
)
"""One row for each bundle's digest: the state of its drift after the last row of it in `images`."""

ENTRY = select(
    *(column for column in images.c if column.name != "thumbnail"),
    images.c.thumbnail.is_not(None).label("has_thumbnail"),
)
"""What `StoredEntry.of` takes."""
INSERT = insert(images)


class _Add(DDL):
    """A new column of text."""

    def __init__(self, column: str) -> None:
        super().__init__(f"ALTER TABLE images ADD COLUMN {column} TEXT")  # type: ignore[no-untyped-call]


UPGRADES: dict[int, list[ExecutableDDLElement]] = {
    1: [_Add("part"), _Add("terms")],
    2: [CreateTable(drift), CreateIndex(_by_request)],
}
"""By the version of what there is: what makes it one of the next version."""


def newer_history(what: str, version: int) -> UsageError:
    """The error, not yet raised, about a history of a later version; `what` names file or database."""
    return UsageError(
        f"{what} was written by a newer version of anomaly (history {version}; this one reads up to {SCHEMA_VERSION}): "
        "upgrade anomaly."
    )


def older_history(what: str, version: int) -> UsageError:
    """The error, not yet raised, about a history that its writer has to take over first."""
    return UsageError(
        f"{what} was written by an older version of anomaly (history {version}; this one needs {SCHEMA_VERSION}). "
        "Start `anomaly serve` with it once, which takes it over; older versions refuse it then."
    )


def taken_over(what: str, version: int) -> str:
    """For the log: a history that was of an older version is of this one now."""
    return (
        f"{what} was of version {version} and is of version {SCHEMA_VERSION} now, with all its rows; older versions of "
        "anomaly refuse it from now on"
    )


def creating(dialect: Dialect) -> list[str]:
    """The statements that make the tables of this version."""
    return _compiled([CreateTable(images), CreateTable(drift), *map(CreateIndex, (*_indexes, _by_request))], dialect)


def upgrading(version: int, dialect: Dialect) -> list[str]:
    """The statements that make what is of an older version one of the next."""
    return _compiled(UPGRADES[version], dialect)


def _compiled(statements: Sequence[ExecutableDDLElement], dialect: Dialect) -> list[str]:
    wanted = [each for each in statements if each.target is not _by_request or dialect.name == "postgresql"]
    return [str(each.compile(dialect=dialect)) for each in wanted]
