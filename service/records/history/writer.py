"""The one writer: a thread that commits the rows and corrections that wait, all together, and then acknowledges them.

A row is acknowledged, by its id, only when it is committed. One commit for many rows means one flush for many images.
What is wrong with a row itself costs that row, and its group is committed.

Nothing here may harm scoring. While the store cannot be written (a full disk, a lock, a database that is stopped),
images are not kept but counted, and one line in the log says since when and why. Every RETRY_S the next row is the
test whether it can be again; meanwhile no other is taken, so that nothing gathers. A store that hangs is waited for no
longer than ACKNOWLEDGE_S.

A file that is renamed, removed or replaced stays open here, and takes rows that nobody would find. So before and after
each commit, and each PLACE_S, the name is looked up. If it is another file by now, that is one that cannot be written:
its rows so far are brought into it, and it is left.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection

from anomaly.bundle import Bundle
from service.errors import HistoryUnavailableError
from service.records.drift import Watched
from service.records.history.entries import HistoryEntry, StoredEntry
from service.records.history.jobs import Addition, Change, Job
from service.records.history.readers import ReaderThreads
from service.records.history.retention import Pruning, Retention
from service.records.history.rows import Values, alone, correct_row, insert_rows
from service.records.history.store import EXPECTED, Store, concerns_one, reason
from service.records.history.streams import DriftStreams, Moved
from service.schemas.history import Correction

logger = logging.getLogger(__name__)
T = TypeVar("T")

ACKNOWLEDGE_S = 2.0
"""How long an answer waits for its row's commit at the most."""
RETRY_S = 1.0
MAX_GROUP = 256
"""Jobs of one commit."""
IDLE_S = 60.0
"""How often retention is looked after while nothing is written."""
PLACE_S = 1.0
"""How often the file's name is looked up while nothing is written."""


class History:
    """A history that is being written. `start` and `close` it on the event loop that uses it."""

    def __init__(
        self,
        store: Store,
        retention: Retention,
        *,
        thumbnails: bool,
        streams: DriftStreams,
        on_failure: Callable[[int], None],
    ) -> None:
        """`on_failure` is told of how many images were not kept. Raises UsageError if the store can never be used."""
        self._store = store
        self._readers = ReaderThreads(store)
        self._pruning = Pruning(retention, store)
        self._thumbnails = thumbnails
        self._streams = streams
        self._on_failure = on_failure
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._is_closed = False
        self._degraded: str | None = None
        self._try_again_at = 0.0
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._unreachable = store.open()

    @property
    def failure(self) -> str | None:
        """Why scored images are not kept now; None while they are."""
        return self._degraded

    def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.get_running_loop()
        if self._unreachable:
            self._degrade(self._unreachable, retry_s=RETRY_S)
        self._thread.start()

    async def close(self) -> None:
        """Commit what waits, and stop."""
        self._is_closed = True
        self._jobs.put(None)  # wakes the thread
        self._readers.close()
        await asyncio.to_thread(self._thread.join, ACKNOWLEDGE_S)
        self._store.close()

    async def add(self, entries: Sequence[HistoryEntry]) -> list[int | None]:
        """Keep scored images; their ids once they are committed, or None for each if they could not be kept."""
        try:
            ids: list[int | None] = await self._do(partial(Addition, entries, self._thumbnails))
        except HistoryUnavailableError:
            self._on_failure(len(entries))
            return [None] * len(entries)
        return ids

    async def correct(self, number: int, correction: Correction | None, by: str) -> StoredEntry | None:
        """Note what a person says of an image; the row as it is now, None if there is none of this number.

        With None a correction is taken back; the row then says who did so, and when. Raises HistoryUnavailableError.
        """
        row: StoredEntry | None = await self._do(partial(Change, partial(correct_row, number, correction, by)))
        return row

    async def read(self, work: Callable[[Connection], T], *, within_s: float | None = None) -> T:
        """What a reader finds, in a thread of its own, which stops if this is cancelled.

        Raises HistoryUnavailableError.
        """
        return await self._readers.read(work, within_s=within_s)

    async def drifts(self, bundles: Sequence[Bundle], *, within_s: float | None = None) -> list[Watched]:
        """What is watched of each, by all servers that share this history. Raises HistoryUnavailableError."""
        digests = [(bundle.digest, bundle.contents.calibration.scores) for bundle in bundles]
        return await self.read(
            lambda connection: [self._streams.read(*each, connection) for each in digests], within_s=within_s
        )

    async def _do(self, job_of: "Callable[[asyncio.Future[Any]], Job]") -> Any:
        if time.monotonic() < self._try_again_at:
            raise HistoryUnavailableError(f"The history cannot be written now: {self._degraded}.")
        if self._degraded:
            self._try_again_at = math.inf  # this one is the test
        job = job_of(self._loop.create_future())
        self._jobs.put(job)
        try:
            return await asyncio.wait_for(job.answer, ACKNOWLEDGE_S)
        except TimeoutError:
            self._degrade(f"a commit takes more than {ACKNOWLEDGE_S:g} s", retry_s=math.inf)
            self._jobs.put(None)  # for the thread to find when it is back: nothing else would tell it
            raise HistoryUnavailableError("The history cannot be written now: it does not answer.") from None

    def _run(self) -> None:
        more, last = False, time.monotonic()
        while not (self._is_closed and self._jobs.empty()):
            group = self._take(0.0 if more else PLACE_S)
            if group is None and not more and time.monotonic() - last < IDLE_S and self._store.is_same():
                continue
            more, last = self._commit(group or []), time.monotonic()
        self._pruning.tell(now=True)
        self._store.drop()

    def _take(self, wait_s: float) -> list[Job] | None:
        """What waits; None if for `wait_s` seconds nothing came."""
        taken: list[Job | None] = []
        with suppress(Empty):
            taken.append(self._jobs.get(timeout=wait_s) if wait_s else self._jobs.get_nowait())
            while len(taken) < MAX_GROUP:
                taken.append(self._jobs.get_nowait())
        if not taken:
            return None
        return [job for job in taken if job is not None and not job.answer.done()]

    def _commit(self, group: Sequence[Job]) -> bool:
        """Do a group's work in one transaction, and answer. Returns whether there are more rows to delete."""
        was_same = bool(group) or self._store.is_same()
        try:
            results, moved, more = self._write(group)
        except Exception as error:
            self._degrade(reason(error), retry_s=RETRY_S, error=None if isinstance(error, EXPECTED) else error)
            self._store.drop()
            self._streams.forget()
            results = [HistoryUnavailableError(f"The history cannot be written now: {self._degraded}.") for _ in group]
            more = False
        else:
            self._streams.tell(moved)
            self._pruning.tell()
            # an empty commit shows that the store answers; one that made a file, that it can be written
            if group or self._try_again_at == math.inf or not was_same:
                self._recover()
        self._loop.call_soon_threadsafe(_settle, group, results)
        return more

    def _write(self, group: Sequence[Job]) -> tuple[list[Any], list[Moved], bool]:
        """What is committed: each job's result or error, and the streams; and whether there are more rows to delete.

        All rows go in one statement. Only if something is wrong with one, it is found by doing each job alone.
        """
        for job in group:
            with suppress(Exception):  # it fails again when it is done
                job.prepare()
        try:
            return self._transact(group, lambda connection: self._do_jobs(group, connection))
        except Exception as error:
            if not concerns_one(error):
                raise
            self._streams.forget()
        return self._transact(group, lambda connection: [self._do_alone(job, connection) for job in group])

    def _transact(
        self, group: Sequence[Job], work: Callable[[Connection], list[Any]]
    ) -> tuple[list[Any], list[Moved], bool]:
        with self._store.writing() as connection:
            results = work(connection)
            kept = [
                job.entries for job, result in zip(group, results, strict=True) if not isinstance(result, Exception)
            ]
            moved = self._streams.advance([entry for entries in kept for entry in entries], connection)
            return results, moved, self._pruning.delete_old(connection)

    def _do_jobs(self, group: Sequence[Job], connection: Connection) -> list[Any]:
        ids = iter(self._insert([values for job in group for values in job.rows], connection))
        return [job.done(ids, connection) for job in group]

    def _do_alone(self, job: Job, connection: Connection) -> Any:
        result = alone(lambda: self._do_jobs([job], connection)[0], connection)
        if isinstance(result, Exception):
            return HistoryUnavailableError(f"The history cannot take this: {reason(result)}.")
        return result

    def _insert(self, rows: Sequence[Values], connection: Connection) -> Sequence[int]:
        """The ids of these rows, ascending."""
        return insert_rows(rows, self._store.new_ids(connection, len(rows)), connection) if rows else ()

    def _degrade(self, why: str, *, retry_s: float, error: Exception | None = None) -> None:
        if self._degraded is None:
            logger.error("the history is not written, images are scored on: %s", why, exc_info=error)
        self._degraded = why
        self._try_again_at = time.monotonic() + retry_s

    def _recover(self) -> None:
        if self._degraded is not None:
            logger.warning("the history is written again")
        self._degraded, self._try_again_at = None, 0.0


def _settle(group: Sequence[Job], results: Sequence[Any]) -> None:
    for job, result in zip(group, results, strict=True):
        if job.answer.done():
            continue
        if isinstance(result, Exception):
            job.answer.set_exception(result)
        else:
            job.answer.set_result(result)
