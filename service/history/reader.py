"""Reading the history: pages by key, newest first, so that a page costs the same however far back it lies.

All of it blocks, and is for a thread of its own. Each call has a connection for itself and a short transaction: a
reader that stays would keep the write-ahead log from being emptied.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from anomaly.errors import UsageError
from service.errors import HistoryUnavailableError
from service.history.store import SELECT, Row, as_text, reading

Judgement = Literal["normal", "anomalous", "none"]
_VERDICTS: dict[Judgement, int | None] = {"normal": 0, "anomalous": 1, "none": None}


@dataclass(frozen=True)
class Filters:
    """Which rows are wanted; None: whichever. Bounds are inclusive, `until` is not."""

    model: str | None = None
    verdict: Judgement | None = None
    correction: Judgement | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_score: float | None = None
    max_score: float | None = None

    def conditions(self) -> list[tuple[str, object]]:
        """SQL with one parameter each."""
        correction = None if self.correction == "none" else self.correction
        verdict = _VERDICTS[self.verdict] if self.verdict else None
        wanted: list[tuple[bool, str, object]] = [
            (self.model is not None, "model = ?", self.model),
            (self.verdict is not None, "is_anomalous IS ?", verdict),
            (self.correction is not None, "correction IS ?", correction),
            (self.since is not None, "time >= ?", self.since and as_text(self.since)),
            (self.until is not None, "time < ?", self.until and as_text(self.until)),
            (self.min_score is not None, "score >= ?", self.min_score),
            (self.max_score is not None, "score <= ?", self.max_score),
        ]
        return [(sql, value) for is_wanted, sql, value in wanted if is_wanted]


def read_page(path: Path, filters: Filters, *, before: int | None = None, limit: int) -> tuple[list[Row], int | None]:
    """The newest rows, or the newest of those before a row, and the id that the next page is before, if there is one.

    Raises HistoryUnavailableError, as all functions here do.
    """
    conditions = filters.conditions() + ([("id < ?", before)] if before is not None else [])
    where = f" WHERE {' AND '.join(sql for sql, _ in conditions)}" if conditions else ""
    query = f"{SELECT}{where} ORDER BY id DESC LIMIT ?"
    with _available(path) as connection:
        found = connection.execute(query, (*(value for _, value in conditions), limit + 1)).fetchall()
    rows = [Row.of(values) for values in found[:limit]]
    return rows, rows[-1].id if len(found) > limit else None


def read_thumbnail(path: Path, number: int) -> bytes | None:
    """A row's thumbnail, a WebP file; None if it has none, or there is no such row."""
    with _available(path) as connection:
        found = connection.execute("SELECT thumbnail FROM images WHERE id = ?", (number,)).fetchone()
    return found[0] if found else None


@contextmanager
def _available(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with reading(path) as connection:
            yield connection
    except (sqlite3.Error, UsageError) as error:
        raise HistoryUnavailableError(f"The history cannot be read now: {error}.") from error
