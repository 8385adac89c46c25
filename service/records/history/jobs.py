"""What waits for the writer: scored images, or something else to write, and who awaits its result."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from service.records.history.entries import HistoryEntry
from service.records.history.rows import Values


@dataclass(eq=False)
class Addition:
    """Scored images that are to be kept."""

    entries: Sequence[HistoryEntry]
    with_thumbnails: bool
    answer: "asyncio.Future[list[int]]"

    def prepare(self) -> None:
        """Hash and draw before the transaction, as nobody else may write while it lasts."""
        _ = self.rows

    @cached_property
    def rows(self) -> list[Values]:
        """Their values by the names of columns."""
        return [entry.values(with_thumbnail=self.with_thumbnails) for entry in self.entries]

    def done(self, ids: Iterator[int], connection: Connection) -> list[int]:
        """The ids of its rows, which are inserted: the next of `ids`."""
        return list(islice(ids, len(self.rows)))


@dataclass(eq=False)
class Change:
    """Something else that is to be written."""

    work: Callable[[Connection], Any]
    answer: "asyncio.Future[Any]"
    entries: Sequence[HistoryEntry] = ()
    rows: Sequence[Values] = ()

    def prepare(self) -> None:
        """There is nothing to prepare."""

    def done(self, ids: Iterator[int], connection: Connection) -> Any:
        """Do it; its result."""
        return self.work(connection)


Job = Addition | Change
