"""Searches have threads of their own, and end when nobody waits for them."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection

from service.errors import HistoryUnavailableError
from service.records.history import History, readers
from service.records.history.store import NUM_READERS
from tests.service.records.history.entries import Place, kept, writing

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000000) SELECT max(i) FROM n"
"""Minutes of work for SQLite, all in one statement."""


class Search:
    """A search that nobody wants to wait for."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.has_ended = threading.Event()

    def __call__(self, connection: Connection) -> None:
        self.has_begun.set()
        try:
            connection.exec_driver_sql(ENDLESS)
        finally:
            self.has_ended.set()


def test_however_many_searches_there_are_nothing_else_waits_for_their_threads(place: Place) -> None:
    may_end = threading.Event()

    async def scene(history: History) -> list[str]:
        names: list[str] = []

        def search(connection: Connection) -> None:
            names.append(threading.current_thread().name)
            assert may_end.wait(30)

        searches = [asyncio.create_task(history.read(search)) for _ in range(100)]
        while len(names) < NUM_READERS:
            await asyncio.sleep(0.01)
        try:
            await asyncio.wait_for(asyncio.to_thread(int), 10)
        finally:
            may_end.set()
        await asyncio.gather(*searches)
        return names

    with writing(place) as do:
        names = do(scene)
    assert len(names) == 100
    assert len(set(names)) == NUM_READERS


def test_a_search_that_takes_too_long_is_refused_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "READ_S", 0.3)
    search = Search()
    with writing(tmp_path / "history.sqlite") as do:
        with pytest.raises(HistoryUnavailableError, match="does not answer"):
            do(lambda history: history.read(search))
        assert search.has_ended.wait(10)
    assert kept(tmp_path / "history.sqlite") == []


def test_a_search_that_is_cancelled_stops(tmp_path: Path) -> None:
    search = Search()

    async def scene(history: History) -> None:
        task = asyncio.create_task(history.read(search))
        assert await asyncio.to_thread(search.has_begun.wait, 10)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    with writing(tmp_path / "history.sqlite") as do:
        do(scene)
        assert search.has_ended.wait(10)
