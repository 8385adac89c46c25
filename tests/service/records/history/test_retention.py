"""Old rows go: by age, by the size of the file, the oldest first."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from service.records.history import Retention, as_text, writer
from service.records.history.tables import images
from tests.service.records.history.entries import Place, found, kept, reading, writing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def test_age(place: Place) -> None:
    now = datetime.now(UTC)
    times = [as_text(now - timedelta(days=days)) for days in (9, 3.1, 2.9, 0)]
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
    monkeypatch.setattr(writer, "MAX_DELETED", 128)
    with writing(path, retention=Retention(None, 2**20)) as do:
        do(lambda history: history.add([found(1)]))
        deadline = time.monotonic() + 10
        while len(kept(path)) == 500:  # rows of 2,000 bytes: no more than that fit
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert path.stat().st_size <= 2**20  # the log has been emptied into it
