"""Reading the history: pages by key, newest first, so that a page costs the same however far back it lies.

All of it blocks, and is for a thread of its own. Each call has a connection for itself and a short transaction: a
reader that stays would keep the write-ahead log from being emptied.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from anomaly.errors import UsageError
from service.errors import HistoryUnavailableError
from service.records.history.store import SELECT, StoredEntry, as_text, reading
from service.schemas.history import HistoryFilters, VerdictFilter

_VERDICTS: dict[VerdictFilter, int | None] = {"normal": 0, "anomalous": 1, "none": None}


def read_page(
    path: Path,
    filters: HistoryFilters,
    *,
    before: int | None = None,
    limit: int,
    check_place: Callable[[], None] = lambda: None,
) -> tuple[list[StoredEntry], int | None]:
    """The newest rows, or the newest of those before a row, and the id that the next page is before, if there is one.

    `check_place` raises OSError if the file at `path` is no longer the one that is written, as `HistoryPlace.check`.
    Raises HistoryUnavailableError, as all functions here do.
    """
    conditions = _conditions(filters) + ([("id < ?", before)] if before is not None else [])
    where = f" WHERE {' AND '.join(sql for sql, _ in conditions)}" if conditions else ""
    query = f"{SELECT}{where} ORDER BY id DESC LIMIT ?"
    with _available(path, check_place) as connection:
        found = connection.execute(query, (*(value for _, value in conditions), limit + 1)).fetchall()
    rows = [StoredEntry.of(values) for values in found[:limit]]
    return rows, rows[-1].id if len(found) > limit else None


def read_thumbnail(path: Path, number: int, check_place: Callable[[], None] = lambda: None) -> bytes | None:
    """A row's thumbnail, a WebP file; None if it has none, or there is no such row."""
    with _available(path, check_place) as connection:
        found = connection.execute("SELECT thumbnail FROM images WHERE id = ?", (number,)).fetchone()
    return found[0] if found else None


def _conditions(filters: HistoryFilters) -> list[tuple[str, object]]:
    """SQL with one parameter each."""
    verdict = _VERDICTS[filters.verdict] if filters.verdict else None
    correction = None if filters.correction == "none" else filters.correction
    wanted: list[tuple[object, str, object]] = [
        (filters.model, "model = ?", filters.model),
        (filters.part, "part GLOB ?", filters.part and containing(filters.part)),
        (filters.name, "filename GLOB ?", filters.name and containing(filters.name)),
        (filters.request_id, "request_id = ?", filters.request_id),
        (filters.verdict, "is_anomalous IS ?", verdict),
        (filters.correction, "correction IS ?", correction),
        (filters.since, "time >= ?", filters.since and as_text(filters.since)),
        (filters.until, "time < ?", filters.until and as_text(filters.until)),
        (filters.min_score, "score >= ?", filters.min_score),
        (filters.max_score, "score <= ?", filters.max_score),
    ]
    return [(sql, value) for asked, sql, value in wanted if asked is not None]


def containing(text: str) -> str:
    """The pattern of SQLite's GLOB for what has `text` in it, in small letters or capitals.

    LIKE knows only the letters of ASCII, and a function of Python's would hold up those who score, once for each row.
    """
    return f"*{''.join(map(_either_case, text))}*"


def _either_case(character: str) -> str:
    cases = {each for each in (character, character.lower(), character.upper()) if len(each) == 1}
    return f"[{''.join(sorted(cases))}]" if len(cases) > 1 or character in "*?[" else character


@contextmanager
def _available(path: Path, check_place: Callable[[], None]) -> Iterator[sqlite3.Connection]:
    try:
        with reading(path, check_place) as connection:
            yield connection
    except (sqlite3.Error, OSError, UsageError) as error:
        raise HistoryUnavailableError(f"The history cannot be read now: {error}.") from error
