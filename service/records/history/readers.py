"""The threads that read the history: a few of their own, so that nothing else of the server waits for a search.

A search that nobody waits for any more is stopped, so that it does not hold up the next ones.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from service.errors import HistoryUnavailableError
from service.records.history.store import EXPECTED, NUM_READERS, Store, reason

T = TypeVar("T")

READ_S = 10.0
"""How long a reader waits for its rows at the most, if nothing else is said."""


class ReaderThreads:
    """NUM_READERS threads for one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(NUM_READERS, thread_name_prefix="history reader")

    async def read(self, work: Callable[[Connection], T], *, within_s: float | None = None) -> T:
        """What `work` finds. If this is cancelled, `work` is stopped. Raises HistoryUnavailableError."""
        is_unwanted = threading.Event()
        found = asyncio.get_running_loop().run_in_executor(self._threads, self._read, work, is_unwanted)
        try:
            return await asyncio.wait_for(found, within_s or READ_S)
        except TimeoutError:
            raise HistoryUnavailableError("The history cannot be read now: it does not answer.") from None
        finally:
            is_unwanted.set()

    def close(self) -> None:
        """Begin no further search."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _read(self, work: Callable[[Connection], T], is_unwanted: threading.Event) -> T:
        try:
            with self._store.reading(is_unwanted=is_unwanted.is_set) as connection:
                return work(connection)
        except EXPECTED as error:
            raise HistoryUnavailableError(f"The history cannot be read now: {reason(error)}.") from error
