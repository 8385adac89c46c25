"""Reading the history: pages by key, newest first, so that a page costs the same however far back it lies.

All of it blocks, and is for a thread of its own. Each call has a short transaction: a reader of SQLite that stays would
keep the write-ahead log from being emptied.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, false, select

from anomaly.times import utc_text
from service.records.history.entries import StoredEntry
from service.records.history.tables import ENTRY, images
from service.schemas.history import HistoryFilters, VerdictFilter

_VERDICTS: dict[VerdictFilter, bool | None] = {"normal": False, "anomalous": True, "none": None}


def read_page(
    filters: HistoryFilters, connection: Connection, *, before: int | None = None, limit: int
) -> tuple[list[StoredEntry], int | None]:
    """The newest rows, or the newest of those before a row; and the id that the next page is before, if any."""
    query = ENTRY.where(*_conditions(filters, connection.dialect.name)).order_by(images.c.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(images.c.id < before)
    found = connection.execute(query).mappings().all()
    rows = [StoredEntry.of(row) for row in found[:limit]]
    return rows, rows[-1].id if len(found) > limit else None


def read_thumbnail(number: int, connection: Connection) -> bytes | None:
    """A row's thumbnail, a WebP file; None if it has none, or there is no such row."""
    return connection.execute(select(images.c.thumbnail).where(images.c.id == number)).scalar_one_or_none()


def _conditions(filters: HistoryFilters, dialect: str) -> list[ColumnElement[bool]]:
    contains = _contains_by_glob if dialect == "sqlite" else _contains_by_pattern
    of = images.c
    condition_of: dict[str, Callable[[Any], ColumnElement[bool]]] = {
        "model": lambda model: of.model == model,
        "part": lambda part: contains(of.part, part),
        "name": lambda name: contains(of.filename, name),
        "request_id": lambda request_id: of.request_id == request_id,
        "verdict": lambda verdict: of.is_anomalous.is_(_VERDICTS[verdict]),
        "correction": lambda said: of.correction.is_(None) if said == "none" else of.correction == said,
        "since": lambda since: of.time >= utc_text(since),
        "until": lambda until: of.time < utc_text(until),
        "min_score": lambda score: of.score >= score,
        "max_score": lambda score: of.score <= score,
    }
    asked = {name: value for name in condition_of if (value := getattr(filters, name)) is not None}
    if any("\0" in value for value in asked.values() if isinstance(value, str)):
        return [false()]  # PostgreSQL knows no such text, so no row has it
    return [condition_of[name](value) for name, value in asked.items()]


def _contains_by_glob(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return column.op("GLOB", is_comparison=True)(containing(text))


def _contains_by_pattern(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return column.op("~", is_comparison=True)("".join(f"[{cases}]" for cases in map(_cases_in_pattern, text)))


def containing(text: str) -> str:
    """The pattern of SQLite's GLOB for what has `text` in it, in small letters or capitals.

    LIKE knows only the letters of ASCII, and a function of Python's would hold up those who score, once for each row.
    """
    return f"*{''.join(map(_either_case, text))}*"


def _either_case(character: str) -> str:
    cases = _cases(character)
    return f"[{cases}]" if len(cases) > 1 or character in "*?[" else character


def _cases_in_pattern(character: str) -> str:
    r"""For the brackets of a regular expression of PostgreSQL's, where only ^ and \ mean more than themselves alone."""
    return f"\\{character}" if character in "^\\" else _cases(character)


def _cases(character: str) -> str:
    cases = {each for each in (character, character.lower(), character.upper()) if len(each) == 1}
    return "".join(sorted(cases))
