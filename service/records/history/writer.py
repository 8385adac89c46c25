"""The one writer: a thread that commits the rows and corrections that wait, all together, and then acknowledges them.

A row is acknowledged, by its id, only when it is committed. One commit for many rows means one flush for many images.
What is wrong with a row itself costs that row, and its group is committed.

Nothing here may harm scoring. While the file cannot be written (a full disk, a lock, a broken file), images are not
kept but counted, one line in the log says since when and why, and every RETRY_S a new connection is tried. A disk that
hangs is waited for no longer than ACKNOWLEDGE_S.

A file that is renamed, removed or replaced stays open here, and takes rows that nobody would find. So before and after
each commit, and each PLACE_S, the name is looked up. If it is another file by now, that is one that cannot be written:
its rows so far are brought into it, and it is left.
"""

import asyncio
import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from anomaly.errors import UsageError
from service.errors import HistoryUnavailableError
from service.records.history.place import HistoryPlace
from service.records.history.store import (
    INSERT,
    SELECT,
    Correction,
    HistoryEntry,
    StoredEntry,
    as_text,
    checkpoint_log,
    open_store,
)

logger = logging.getLogger(__name__)

ACKNOWLEDGE_S = 2.0
"""How long an answer waits for its row's commit at the most."""
RETRY_S = 1.0
MAX_GROUP = 256
"""Jobs of one commit."""
IDLE_S = 60.0
"""How often retention is looked after while nothing is written."""
PLACE_S = 1.0
"""How often the file's name is looked up while nothing is written."""
MAX_DELETED = 1024
"""Rows that one commit deletes at the most, so that no answer waits for many; what is left over follows at once."""


_EXPECTED = (sqlite3.Error, OSError, UsageError)
_OF_ALL = (sqlite3.DatabaseError, OSError, MemoryError)
"""What the disk or the file says concerns all that waits."""
_OF_ONE = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.NotSupportedError)
"""But these of SQLite's errors are about the values of one row."""


@dataclass(frozen=True)
class Retention:
    """How long rows are kept: days, and bytes of the whole file; the oldest go first. None: no limit."""

    max_days: float | None
    max_bytes: int | None


@dataclass(eq=False)
class _Write:
    work: Callable[[sqlite3.Connection], Any]
    answer: "asyncio.Future[Any]"


class History:
    """A history file that is being written. `start` and `close` it on the event loop that uses it."""

    def __init__(
        self, path: Path, retention: Retention, *, thumbnails: bool, on_failure: Callable[[int], None]
    ) -> None:
        """`on_failure` is told of how many images were not kept. Raises UsageError if the file cannot be used."""
        self.place = HistoryPlace(path)
        """Where it is written; its `check` is for readers."""
        self._retention = retention
        self._thumbnails = thumbnails
        self._on_failure = on_failure
        self._jobs: SimpleQueue[_Write | None] = SimpleQueue()
        self._is_closed = False
        self._degraded: str | None = None
        self._try_again_at = 0.0
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._connection: sqlite3.Connection | None = None
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            raise UsageError(
                f"The history {path} cannot be opened: {error}. Name a file in a folder that exists and may be "
                "written to, or leave --history out."
            ) from None

    @property
    def failure(self) -> str | None:
        """Why scored images are not kept now; None while they are."""
        return self._degraded

    def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """Commit what waits, and stop."""
        self._is_closed = True
        self._jobs.put(None)  # wakes the thread
        await asyncio.to_thread(self._thread.join, ACKNOWLEDGE_S)

    async def add(self, entries: Sequence[HistoryEntry]) -> list[int | None]:
        """Keep scored images; their ids once they are committed, or None for each if they could not be kept."""
        try:
            ids: list[int | None] = await self._do(partial(self._insert, entries))
        except HistoryUnavailableError:
            self._on_failure(len(entries))
            return [None] * len(entries)
        return ids

    async def correct(self, number: int, correction: Correction | None, by: str) -> StoredEntry | None:
        """Note what a person says of an image; the row as it is now, None if there is none of this number.

        With None a correction is taken back; the row then says who did so, and when. Raises HistoryUnavailableError.
        """
        row: StoredEntry | None = await self._do(partial(_correct, number, correction, by))
        return row

    async def _do(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        if time.monotonic() < self._try_again_at:
            raise HistoryUnavailableError(f"The history cannot be written now: {self._degraded}.")
        job = _Write(work, self._loop.create_future())
        self._jobs.put(job)
        try:
            return await asyncio.wait_for(job.answer, ACKNOWLEDGE_S)
        except TimeoutError:
            self._degrade(f"a commit takes more than {ACKNOWLEDGE_S:g} s", retry_s=math.inf)
            self._jobs.put(None)  # for the thread to find when it is back: nothing else would tell it
            raise HistoryUnavailableError("The history cannot be written now: its disk does not answer.") from None

    def _run(self) -> None:
        more, last = False, time.monotonic()
        while not (self._is_closed and self._jobs.empty()):
            group = self._take(0.0 if more else PLACE_S)
            if group is None and not more and time.monotonic() - last < IDLE_S and self.place.is_same():
                continue
            more, last = self._commit(group or []), time.monotonic()
        self._drop_connection()

    def _take(self, wait_s: float) -> list[_Write] | None:
        """What waits; None if for `wait_s` seconds nothing came."""
        taken: list[_Write | None] = []
        with suppress(Empty):
            taken.append(self._jobs.get(timeout=wait_s) if wait_s else self._jobs.get_nowait())
            while len(taken) < MAX_GROUP:
                taken.append(self._jobs.get_nowait())
        if not taken:
            return None
        return [job for job in taken if job is not None and not job.answer.done()]

    def _commit(self, group: Sequence[_Write]) -> bool:
        """Do a group's work in one transaction, and answer. Returns whether there are more rows to delete."""
        results: list[Any]
        file = self.place.file
        try:
            connection = self._connection or self._open()
            self.place.check()
            connection.execute("BEGIN IMMEDIATE")
            results = [_do_alone(job, connection) for job in group]
            more = self._delete_old(connection)
            connection.execute("COMMIT")
            self.place.check()
        except Exception as error:
            self._degrade(str(error), retry_s=RETRY_S, error=None if isinstance(error, _EXPECTED) else error)
            self._drop_connection()
            results = [HistoryUnavailableError(f"The history cannot be written now: {error}.") for _ in group]
            more = False
        else:
            # an empty commit shows that the disk answers; one that made a file, that it can be written
            if group or self._try_again_at == math.inf or self.place.file != file:
                self._recover()
        self._loop.call_soon_threadsafe(_settle, group, results)
        return more

    def _insert(self, entries: Sequence[HistoryEntry], connection: sqlite3.Connection) -> list[int | None]:
        values = (entry.values(with_thumbnail=self._thumbnails) for entry in entries)
        return [connection.execute(INSERT, each).lastrowid for each in values]

    def _delete_old(self, connection: sqlite3.Connection) -> bool:
        """Enforce retention, as far as MAX_DELETED rows; whether that was not enough."""
        num_left = MAX_DELETED
        if self._retention.max_days is not None:
            oldest = as_text(datetime.now(UTC) - timedelta(days=self._retention.max_days))
            num_left -= connection.execute(
                "DELETE FROM images WHERE id IN (SELECT id FROM images WHERE time < ? ORDER BY time LIMIT ?)",
                (oldest, num_left),
            ).rowcount
        if self._retention.max_bytes is not None:
            while num_left > 0 and _num_bytes(connection) > self._retention.max_bytes:
                deleted = connection.execute(
                    "DELETE FROM images WHERE id IN (SELECT id FROM images ORDER BY id LIMIT 64)"
                ).rowcount
                if not deleted:
                    break
                num_left -= deleted
        return num_left <= 0

    def _degrade(self, reason: str, *, retry_s: float, error: Exception | None = None) -> None:
        if self._degraded is None:
            logger.error("the history is not written, images are scored on: %s", reason, exc_info=error)
        self._degraded = reason
        self._try_again_at = time.monotonic() + retry_s

    def _recover(self) -> None:
        if self._degraded is not None:
            logger.warning("the history is written again")
        self._degraded, self._try_again_at = None, 0.0

    def _open(self) -> sqlite3.Connection:
        self.place.check_log()
        self._connection = open_store(self.place.path)
        self.place.opened()
        return self._connection

    def _drop_connection(self) -> None:
        """Close the file; one that was moved only when all its rows are in it."""
        if self._connection is None:
            return
        try:
            self.place.check()
        except FileNotFoundError:
            try:
                self._connection.rollback()
                checkpoint_log(self._connection)
            except sqlite3.Error as error:
                logger.error("rows of the history that was moved are still in its log: %s", error)
                return
        with suppress(sqlite3.Error):
            self._connection.close()
        self._connection = None
        self.place.closed()


def _do_alone(job: _Write, connection: sqlite3.Connection) -> Any:
    """A job's result, or its error if what it holds cannot be kept: then nothing of it is done."""
    connection.execute("SAVEPOINT job")
    try:
        result = job.work(connection)
    except Exception as error:
        if isinstance(error, _OF_ALL) and not isinstance(error, _OF_ONE):
            raise
        logger.error("an image or a correction is not kept in the history: %s", error, exc_info=error)
        connection.execute("ROLLBACK TO job")
        result = HistoryUnavailableError(f"The history cannot take this: {error}.")
    connection.execute("RELEASE job")
    return result


def _correct(number: int, correction: Correction | None, by: str, connection: sqlite3.Connection) -> StoredEntry | None:
    connection.execute(
        "UPDATE images SET correction = ?, corrected_by = ?, corrected_at = ? WHERE id = ? "
        "AND (? IS NOT NULL OR correction IS NOT NULL)",  # of what was never corrected nothing is taken back
        (correction, by, as_text(datetime.now(UTC)), number, correction),
    )
    values = connection.execute(f"{SELECT} WHERE id = ?", (number,)).fetchone()
    return None if values is None else StoredEntry.of(values)


def _num_bytes(connection: sqlite3.Connection) -> int:
    """What the file will have after this transaction, which gives free pages back."""
    size, pages, free = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
    )
    return int(size * (pages - free))


def _settle(group: Sequence[_Write], results: Sequence[Any]) -> None:
    for job, result in zip(group, results, strict=True):
        if job.answer.done():
            continue
        if isinstance(result, Exception):
            job.answer.set_exception(result)
        else:
            job.answer.set_result(result)
