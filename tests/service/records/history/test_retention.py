"""Old rows go: by age, by the size of the file, the oldest first."""

import logging
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from anomaly.times import utc_text
from service.records.history import HistoryEntry, Retention, retention
from service.records.history.tables import images
from tests.service.records.history.entries import Place, found, kept, reading, writing
from tests.service.test_load import eventually


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def test_age(place: Place) -> None:
    now = datetime.now(UTC)
    times = [utc_text(now - timedelta(days=days)) for days in (9, 3.1, 2.9, 0)]
    with writing(place, retention=Retention(3, None)) as do:
        assert do(lambda history: history.add([found(i, time=each) for i, each in enumerate(times)])) == [1, 2, 3, 4]
    assert kept(place) == [4, 3]


def test_size_bounds_the_file_and_the_oldest_go_first(path: Path) -> None:
    limit = 2**20
    sizes = []
    with writing(path, retention=Retention(None, limit)) as do:
        for i in range(60):
            do(lambda history, i=i: history.add([found(64 * i + j, filename="x" * 1000) for j in range(64)]))  # type: ignore[misc]
            sizes.append(path.stat().st_size)
        assert max(sizes) <= limit + 64 * 3000  # what the last commit added before its own deletions
        newest = kept(path)[0]
    rows = kept(path)
    assert newest == 60 * 64
    assert rows == list(range(newest, newest - len(rows), -1))
    with reading(path) as connection:
        assert connection.execute(select(func.min(images.c.id))).scalar_one() > 1


def test_a_lower_limit_shrinks_the_file_a_piece_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with writing(path) as do:
        do(lambda history: history.add([found(i, filename="x" * 2000) for i in range(1500)]))
    monkeypatch.setattr(retention, "MAX_DELETED", 128)
    with writing(path, retention=Retention(None, 2**20)) as do:
        do(lambda history: history.add([found(1)]))
        deadline = time.monotonic() + 10
        while len(kept(path)) == 500:  # rows of 2,000 bytes: no more than that fit
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert path.stat().st_size <= 2**20  # the log has been emptied into it


DAY_S = 86_400.0
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


class Clocks:
    """In the place of the module `time`: what the clock says, and the time that passes."""

    def __init__(self) -> None:
        self.passed = 1000.0
        self.ahead = 0.0

    def time(self) -> float:
        return NOW.timestamp() + self.passed - 1000.0 + self.ahead

    def monotonic(self) -> float:
        return self.passed


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(retention, "time", clocks)
    return clocks


def scored(clocks: Clocks, days_ago: float = 0.0) -> HistoryEntry:
    return found(1, time=utc_text(datetime.fromtimestamp(clocks.time() - days_ago * DAY_S, UTC)))


def test_a_jump_of_the_clock_deletes_nothing_until_a_day_has_passed(
    path: Path, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    with writing(path, retention=Retention(90, None)) as do:
        do(lambda history: history.add([scored(clocks, days) for days in (80, 40, 1, 0)]))
        clocks.ahead = 60 * DAY_S
        for _ in range(3):
            do(lambda history: history.add([scored(clocks)]))
        clocks.passed += 0.9 * DAY_S
        do(lambda history: history.add([scored(clocks)]))
    assert kept(path) == [8, 7, 6, 5, 4, 3, 2, 1]
    with writing(path, retention=Retention(90, None)) as do:  # which may be started while the clock is wrong
        do(lambda history: history.add([scored(clocks)]))
        assert len(kept(path)) == 9
        clocks.ahead = 0.0
        do(lambda history: history.add([scored(clocks)]))
        assert len(kept(path)) == 10
    warned = [record.getMessage() for record in caplog.records if "the clock says" in record.getMessage()]
    assert len(warned) == 2  # once in each run
    assert "no row is deleted by its age" in warned[0]


def test_a_clock_that_has_run_for_a_day_is_believed(path: Path, clocks: Clocks) -> None:
    with writing(path, retention=Retention(90, None)) as do:
        do(lambda history: history.add([scored(clocks, days) for days in (80, 40, 30)]))
        clocks.ahead = 60 * DAY_S
        do(lambda history: history.add([scored(clocks)]))
        assert len(kept(path)) == 4
        clocks.passed += 1.1 * DAY_S
        do(lambda history: history.add([scored(clocks)]))
    assert kept(path) == [5, 4]


def test_a_line_that_rests_for_a_week_loses_what_is_too_old_at_once(path: Path, clocks: Clocks) -> None:
    with writing(path, retention=Retention(30, None)) as do:
        do(lambda history: history.add([scored(clocks, days) for days in (31, 29, 7, 0)]))
    assert kept(path) == [4, 3, 2]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each for each in map(logging.LogRecord.getMessage, caplog.records) if "has deleted" in each]


def test_the_log_says_how_many_rows_were_too_old_but_not_at_each_commit(
    path: Path, clocks: Clocks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MAX_DELETED", 4)
    caplog.set_level("INFO")
    with writing(path, retention=Retention(3, None)) as do:
        do(lambda history: history.add([scored(clocks, days) for days in [9.0] * 10 + [2.0]]))
        eventually(lambda: len(kept(path)) == 1)
        for _ in range(5):
            do(lambda history: history.add([scored(clocks, 8)]))
        clocks.passed += retention.SAY_EVERY_S
        do(lambda history: history.add([scored(clocks, 8)]))
        do(lambda history: history.add([scored(clocks, 8)]))
    why = "as they were older than 3 days (ANOMALY_HISTORY_DAYS)"
    begin = "the history has deleted its oldest rows:"
    assert said(caplog) == [f"{begin} 10 rows {why}", f"{begin} 6 rows {why}", f"{begin} 1 row {why}"]


def test_the_log_says_how_many_rows_were_too_many(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with writing(path, retention=Retention(None, 2**20)) as do:
        for _ in range(20):
            do(lambda history: history.add([found(i, filename="x" * 10_000) for i in range(10)]))
    numbers = [re.findall(r"rows: (\d+) rows as all had more than 1,048,576 bytes", each) for each in said(caplog)]
    assert len(numbers) == 2  # at the first, and at the end
    assert sum(int(number) for (number,) in numbers) == 200 - len(kept(path))
