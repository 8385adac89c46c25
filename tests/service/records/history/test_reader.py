from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr

from anomaly.times import utc_text
from service.records.history import read_thumbnail
from service.records.history.entries import draw_thumbnail
from service.records.history.store import EXPECTED
from service.schemas.history import HistoryFilters
from tests.service.records.history.entries import Place, found, page, reading, writing

START = datetime(2026, 1, 1, tzinfo=UTC)
VERDICTS = (False, True, None)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Rows 1 to 12, an hour apart, of two models, with each verdict and each correction."""
    path: Place = tmp_path_factory.mktemp("history") / "history.sqlite"
    if request.param == "postgres":
        path = SecretStr(request.getfixturevalue("postgres").new_database())
    rows = [
        found(i, time=utc_text(START + timedelta(hours=i)), model="mn"[i % 2], is_anomalous=VERDICTS[i % 3])
        for i in range(1, 13)
    ]
    with writing(path) as do:
        do(lambda history: history.add(rows))
        for number in (3, 4):
            do(lambda history, number=number: history.correct(number, "normal", "a"))  # type: ignore[misc]
        do(lambda history: history.correct(5, "anomalous", "a"))
    return path


def ids(path: Place, filters: HistoryFilters) -> list[int]:
    rows, following = page(path, filters)
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
def test_filters(path: Place, filters: HistoryFilters, expected: list[int]) -> None:
    assert ids(path, filters) == expected


def test_pages_follow_each_other_without_a_gap_whatever_is_added_meanwhile(path: Place) -> None:
    pages, before = [], None
    while True:
        rows, before = page(path, before=before, limit=5)
        pages.append([row.id for row in rows])
        if before is None:
            break
    assert pages == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]
    rows, following = page(path, before=7, limit=6)
    assert ([row.id for row in rows], following) == ([6, 5, 4, 3, 2, 1], None)


def test_without_thumbnails_there_are_none(path: Place) -> None:
    with reading(path) as connection:
        assert read_thumbnail(1, connection) is None
        assert read_thumbnail(99, connection) is None


def test_what_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 999)
    for name in ("text", "nowhere"):
        with pytest.raises(EXPECTED):
            page(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


MARKS = "^$.*+?(){}|\\"
SQL = "'; DROP TABLE images --"
TEXTS = ["A-17", "a-17", "Straße", "STRASSE", "100%", "50_50", "[x]", MARKS, "-]", SQL, "ÄÖ", "İi", "😀"]
WANTED = {
    "A-": ["A-17", "a-17"], "stra": ["Straße", "STRASSE"], "straß": ["Straße"], "äö": ["ÄÖ"], "%": ["100%"],
    "_": ["50_50"], "[": ["[x]"], "]": ["[x]", "-]"], "-]": ["-]"], "*": [MARKS], "\\": [MARKS], MARKS: [MARKS],
    ".": [MARKS], "?(": [MARKS], "'": [SQL], "😀": ["😀"], "ii": [], "\0": [], "A\0": [],
}  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), WANTED.items(), ids=map(ascii, WANTED))
def test_texts_are_found_alike_in_every_store(named: Place, asked: str, expected: list[str]) -> None:
    for field, of in (("part", "part"), ("name", "filename")):
        rows, _ = page(named, HistoryFilters.model_validate({field: asked, "min_score": 100.0}))
        assert [getattr(row, of) for row in rows][::-1] == expected


@pytest.fixture(scope="module")
def named(path: Place) -> Place:
    """After the rows above, one of each text, as part and as name."""
    with writing(path) as do:
        do(lambda history: history.add([found(100 + i, part=text, filename=text) for i, text in enumerate(TEXTS)]))
    return path


def test_numbers_and_bytes_are_kept_to_the_bit(place: Place) -> None:
    awkward = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -1e-9, 1 / 3, 2.0**53 + 2]
    with writing(place, thumbnails=True) as do:
        do(lambda history: history.add([found(score=each, threshold=each, terms={"ä": each}) for each in awkward]))
    rows, _ = page(place)
    assert [row.score.hex() for row in rows][::-1] == [each.hex() for each in awkward]
    assert [(row.threshold, row.terms) for row in rows][::-1] == [(each, {"ä": each}) for each in awkward]
    with reading(place) as connection:
        assert read_thumbnail(rows[0].id, connection) == draw_thumbnail(found().pixels)
