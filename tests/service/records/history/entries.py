"""Scored images for a history, without a server, and a history without one, in a file or in a database."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection

from service.records.history import (
    DriftStreams,
    History,
    HistoryEntry,
    Retention,
    StoredEntry,
    read_page,
    store_of,
    writer,
)
from service.schemas.history import HistoryFilters

T = TypeVar("T")
Place = Path | SecretStr
CALIBRATION = np.arange(99.0)
FOREVER = Retention(None, None)


def found(number: int = 0, **fields: Any) -> HistoryEntry:
    """The entry of an image whose bytes are `number` in digits."""
    chosen: dict[str, Any] = {
        "request_id": "r", "time": f"2026-01-01T00:00:00.{number % 1000:03d}+00:00", "model": "m", "version": 1,
        "digest": "d", "filename": f"{number}.png", "part": None, "data": b"%d" % number,
        "pixels": np.zeros((1, 8, 8), np.uint8),
        "score": float(number), "p_value": 0.5, "threshold": 9.0, "alpha": 0.05, "is_anomalous": False,
        "terms": {"residual": number / 2}, "calibration": CALIBRATION,
    }  # fmt: skip
    return HistoryEntry(**(chosen | fields))


@contextmanager
def reading(place: Place) -> Iterator[Connection]:
    with closing(store_of(place)) as store, store.reading() as connection:
        yield connection


def page(
    place: Place, filters: HistoryFilters | None = None, *, before: int | None = None, limit: int = 500
) -> tuple[list[StoredEntry], int | None]:
    with reading(place) as connection:
        return read_page(filters or HistoryFilters(), connection, before=before, limit=limit)


def kept(place: Place) -> list[int]:
    """The ids that are there, newest first."""
    return [row.id for row in page(place)[0]]


class Clock:
    """The writer's clock, which goes on only when a test says so: a busy machine lets no wait end early."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 1000.0
        monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: self._now))
        monkeypatch.setattr(writer, "PLACE_S", 60.0)  # what is noticed is noticed at a commit

    def wait_to_retry(self) -> None:
        self._now += 1.01 * writer.RETRY_S


class Unkept:
    """Counts the images that were not kept."""

    def __init__(self) -> None:
        self.num = 0

    def __call__(self, num_images: int) -> None:
        self.num += num_images


def made(
    place: Place, retention: Retention = FOREVER, *, thumbnails: bool = False, unkept: Unkept | None = None
) -> History:
    streams = DriftStreams(0.01)
    return History(store_of(place), retention, thumbnails=thumbnails, streams=streams, on_failure=unkept or Unkept())


@contextmanager
def writing(
    place: Place, *, retention: Retention = FOREVER, thumbnails: bool = False, unkept: Unkept | None = None
) -> Iterator[Callable[[Callable[[History], Awaitable[T]]], T]]:
    """A history that is being written, on an event loop of its own: call what comes with what is to be awaited."""
    history = made(place, retention, thumbnails=thumbnails, unkept=unkept)
    with asyncio.Runner() as runner:

        async def start() -> None:
            history.start()

        def do(work: Callable[[History], Awaitable[T]]) -> T:
            async def run() -> T:
                return await work(history)

            return runner.run(run())

        runner.run(start())
        try:
            yield do
        finally:
            runner.run(history.close())


async def failure(history: History) -> str | None:
    return history.failure
