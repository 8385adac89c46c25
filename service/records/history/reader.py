"""Reading the history: pages by key, newest first, so that a page costs the same however far back it lies.

All of it blocks, and is for a thread of its own. Each call has a short transaction: a reader of SQLite that stays would
keep the write-ahead log from being emptied.
"""

from collections.abc import Callable

from sqlalchemy import ColumnElement, Connection, false, select

from service.records.history.entries import StoredEntry, as_text
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
    verdict = _VERDICTS[filters.verdict] if filters.verdict else None
    correction = None if filters.correction == "none" else filters.correction
    of = images.c
    wanted: list[tuple[object, Callable[[], ColumnElement[bool]]]] = [
        (filters.model, lambda: of.model == filters.model),
        (filters.part, lambda: contains(of.part, filters.part or "")),
        (filters.name, lambda: contains(of.filename, filters.name or "")),
        (filters.request_id, lambda: of.request_id == filters.request_id),
        (filters.verdict, lambda: of.is_anomalous.is_(verdict)),
        (filters.correction, lambda: of.correction == correction if correction else of.correction.is_(None)),
        (filters.since, lambda: of.time >= as_text(filters.since)),  # type: ignore[arg-type]
        (filters.until, lambda: of.time < as_text(filters.until)),  # type: ignore[arg-type]
        (filters.min_score, lambda: of.score >= filters.min_score),
        (filters.max_score, lambda: of.score <= filters.max_score),
    ]
    texts = (filters.model, filters.part, filters.name, filters.request_id)
    if any("\0" in text for text in texts if text):  # PostgreSQL knows no such text, so no row has it
        return [false()]
    return [condition() for asked, condition in wanted if asked is not None]


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
