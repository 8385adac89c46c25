from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from service.errors import HistoryUnavailableError
from service.records.history import as_text, read_page, read_thumbnail
from service.schemas.history import HistoryFilters
from tests.service.records.history.entries import found, writing

START = datetime(2026, 1, 1, tzinfo=UTC)
VERDICTS = (False, True, None)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows 1 to 12, an hour apart, of two models, with each verdict and each correction."""
    path = tmp_path_factory.mktemp("history") / "history.sqlite"
    rows = [
        found(i, time=as_text(START + timedelta(hours=i)), model="mn"[i % 2], is_anomalous=VERDICTS[i % 3])
        for i in range(1, 13)
    ]
    with writing(path) as do:
        do(lambda history: history.add(rows))
        for number in (3, 4):
            do(lambda history, number=number: history.correct(number, "normal", "a"))  # type: ignore[misc]
        do(lambda history: history.correct(5, "anomalous", "a"))
    return path


def ids(path: Path, filters: HistoryFilters) -> list[int]:
    rows, following = read_page(path, filters, limit=500)
    assert following is None
    return [row.id for row in rows]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (HistoryFilters(), list(range(12, 0, -1))),
        (HistoryFilters(model="n"), [11, 9, 7, 5, 3, 1]),
        (HistoryFilters(model="' OR 1=1 --"), []),
        (HistoryFilters(verdict="normal"), [12, 9, 6, 3]),
        (HistoryFilters(verdict="anomalous"), [10, 7, 4, 1]),
        (HistoryFilters(verdict="none"), [11, 8, 5, 2]),
        (HistoryFilters(correction="normal"), [4, 3]),
        (HistoryFilters(correction="anomalous"), [5]),
        (HistoryFilters(correction="none", min_score=4.0), [12, 11, 10, 9, 8, 7, 6]),
        (HistoryFilters(min_score=2.0, max_score=4.0), [4, 3, 2]),
        (HistoryFilters(since=START + timedelta(hours=11)), [12, 11]),
        (HistoryFilters(until=START + timedelta(hours=2)), [1]),
        (HistoryFilters(since=datetime(2026, 1, 1, 11)), [12, 11]),  # without a zone: UTC
        (HistoryFilters(since=datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))), [12, 11]),
        (
            HistoryFilters(since=datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), model="m", verdict="none"),
            [8, 2],
        ),
        (HistoryFilters(since=datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))), []),
    ],
)
def test_filters(path: Path, filters: HistoryFilters, expected: list[int]) -> None:
    assert ids(path, filters) == expected


def test_pages_follow_each_other_without_a_gap_whatever_is_added_meanwhile(path: Path) -> None:
    pages, before = [], None
    while True:
        rows, before = read_page(path, HistoryFilters(), before=before, limit=5)
        pages.append([row.id for row in rows])
        if before is None:
            break
    assert pages == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]
    rows, following = read_page(path, HistoryFilters(), before=7, limit=6)
    assert ([row.id for row in rows], following) == ([6, 5, 4, 3, 2, 1], None)


def test_without_thumbnails_there_are_none(path: Path) -> None:
    assert read_thumbnail(path, 1) is None
    assert read_thumbnail(path, 99) is None


def test_what_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 999)
    for name in ("text", "nowhere"):
        with pytest.raises(HistoryUnavailableError, match="cannot be read now"):
            read_page(tmp_path / name, HistoryFilters(), limit=1)
    assert not (tmp_path / "nowhere").exists()
