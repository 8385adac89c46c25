"""Scored images for a history, without a server, and a history without one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from service.records.history import History, HistoryEntry, Retention, read_page
from service.schemas.history import HistoryFilters

T = TypeVar("T")
FOREVER = Retention(None, None)


def found(number: int = 0, **fields: Any) -> HistoryEntry:
    """The entry of an image whose bytes are `number` in digits."""
    chosen: dict[str, Any] = {
        "request_id": "r", "time": f"2026-01-01T00:00:00.{number % 1000:03d}+00:00", "model": "m", "version": 1,
        "digest": "d", "filename": f"{number}.png", "part": None, "data": b"%d" % number,
        "pixels": np.zeros((1, 8, 8), np.uint8),
        "score": float(number), "p_value": 0.5, "threshold": 9.0, "alpha": 0.05, "is_anomalous": False,
        "terms": {"residual": number / 2},
    }  # fmt: skip
    return HistoryEntry(**(chosen | fields))


def kept(path: Path) -> list[int]:
    """The ids that are there, newest first."""
    rows, _ = read_page(path, HistoryFilters(), limit=500)
    return [row.id for row in rows]


class Unkept:
    """Counts the images that were not kept."""

    def __init__(self) -> None:
        self.num = 0

    def __call__(self, num_images: int) -> None:
        self.num += num_images


@contextmanager
def writing(
    path: Path, *, retention: Retention = FOREVER, thumbnails: bool = False, unkept: Unkept | None = None
) -> Iterator[Callable[[Callable[[History], Awaitable[T]]], T]]:
    """A history that is being written, on an event loop of its own: call what comes with what is to be awaited."""
    history = History(path, retention, thumbnails=thumbnails, on_failure=unkept or Unkept())
    with asyncio.Runner() as runner:

        async def start() -> None:
            history.start()

        def do(work: Callable[[History], Awaitable[T]]) -> T:
            async def run() -> T:
                return await work(history)

            return runner.run(run())

        runner.run(start())
        yield do
        runner.run(history.close())
