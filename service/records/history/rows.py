"""What is done to the rows within the writing transaction. What is wrong with one costs that one."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, delete, select, update

from anomaly.times import utc_now, utc_text
from service.records.history.entries import StoredEntry
from service.records.history.store import concerns_one, reason
from service.records.history.tables import ENTRY, INSERT, images
from service.schemas.history import Correction

logger = logging.getLogger(__name__)
T = TypeVar("T")
Values = dict[str, object]


def insert_rows(rows: Sequence[Values], ids: Sequence[int], connection: Connection) -> Sequence[int]:
    """Insert rows, one at least, under these ids, which are given back."""
    connection.execute(INSERT, [{"id": number, **values} for number, values in zip(ids, rows, strict=True)])
    return ids


def alone(work: Callable[[], T], connection: Connection) -> T | Exception:
    """What comes of it; or why it cannot be kept, which the log says: then nothing of it is done.

    Raises what concerns all that waits.
    """
    try:
        with connection.begin_nested():
            return work()
    except Exception as error:
        if not concerns_one(error):
            raise
        logger.error("an image or a correction is not kept in the history: %s", reason(error), exc_info=error)
        return error


def correct_row(number: int, correction: Correction | None, by: str, connection: Connection) -> StoredEntry | None:
    """The row as it is then; None if there is none. Of what was never corrected nothing is taken back."""
    changed = update(images).where(images.c.id == number)
    if correction is None:
        changed = changed.where(images.c.correction.is_not(None))
    values = {"correction": correction, "corrected_by": by, "corrected_at": utc_now()}
    connection.execute(changed.values(values))
    row = connection.execute(ENTRY.where(images.c.id == number)).mappings().one_or_none()
    return None if row is None else StoredEntry.of(row)


def delete_older(than: datetime, connection: Connection, *, limit: int) -> int:
    """Delete what was scored before, so many rows at the most; how many."""
    return _delete(select(images.c.id).where(images.c.time < utc_text(than)).order_by(images.c.time), limit, connection)


def delete_oldest(connection: Connection, *, limit: int) -> int:
    """Delete so many rows; how many there were."""
    return _delete(select(images.c.id).order_by(images.c.id), limit, connection)


def _delete(which: Select[Any], limit: int, connection: Connection) -> int:
    return connection.execute(delete(images).where(images.c.id.in_(which.limit(limit)))).rowcount
