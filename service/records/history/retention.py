"""Which rows go: those that are too old, and the oldest where all are too many.

Age goes by the server's clock, which may be wrong. A jump ahead must not delete all that was kept. So where the clock
is far ahead of the rows, it has a day to be set right: until it has run for DOUBT without a jump, nothing goes by age.
"""

import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from anomaly.counted import counted
from anomaly.times import utc_text
from service.records.history.rows import delete_older, delete_oldest
from service.records.history.store import Store
from service.records.history.tables import images

logger = logging.getLogger(__name__)

MAX_DELETED = 1024
"""Rows that one commit deletes at the most, so that no answer waits for many; what is left over follows at once."""
DOUBT = timedelta(days=1)
"""How long a clock that is far ahead of the rows is doubted; what was scored in the last DOUBT says nothing of it."""
AHEAD = timedelta(days=7)
"""How far ahead that is, beyond DOUBT, where rows are kept for long: else two thirds of that time."""
JUMP_S = 3600.0
"""By how much the clock must run apart from the time that passes to have jumped."""
SAY_EVERY_S = 3600.0
"""How often the log says at the most how many rows have gone."""


@dataclass(frozen=True)
class Retention:
    """How long rows are kept: days, and bytes of the whole history; the oldest go first. None: no limit."""

    max_days: float | None
    max_bytes: int | None


class Pruning:
    """Deletes old rows within the writing transactions, and says so. For the writer's thread."""

    def __init__(self, retention: Retention, store: Store) -> None:
        self._retention = retention
        self._store = store
        self._clock = _Clock()
        self._again_at = 0.0
        self._is_held = False
        self._deleted: Counter[str] = Counter()
        """Of the transaction that is open."""
        self._unsaid: Counter[str] = Counter()
        self._say_at = 0.0

    def delete_old(self, connection: Connection) -> bool:
        """Enforce retention, if it is time, as far as MAX_DELETED rows; whether that was not enough."""
        self._deleted = Counter()
        if time.monotonic() < self._again_at:
            return False
        max_days, max_bytes = self._retention.max_days, self._retention.max_bytes
        if max_days is not None:
            self._deleted["age"] = self._delete_aged(timedelta(days=max_days), connection)
        if max_bytes is not None:
            while self._num_left > 0 and (num := self._store.num_too_many(connection, max_bytes)):
                deleted = delete_oldest(connection, limit=min(num, self._num_left))
                if not deleted:
                    break
                self._deleted["size"] += deleted
        if self._num_left > 0:
            self._again_at = time.monotonic() + self._store.retention_s
        return self._num_left <= 0

    def tell(self, *, now: bool = False) -> None:
        """What `delete_old` deleted is committed: say so in the log, unless it was said lately or more will follow."""
        is_done = self._num_left > 0
        self._unsaid += self._deleted
        self._deleted = Counter()
        if self._unsaid and (now or (is_done and time.monotonic() >= self._say_at)):
            logger.info("%s", self._message(self._unsaid))
            self._unsaid = Counter()
            self._say_at = time.monotonic() + SAY_EVERY_S

    @property
    def _num_left(self) -> int:
        return MAX_DELETED - self._deleted.total()

    def _delete_aged(self, max_age: timedelta, connection: Connection) -> int:
        now, is_steady = self._clock.read()
        oldest = connection.scalar(select(func.min(images.c.time)))
        if oldest is None or oldest >= utc_text(now - max_age):
            return 0
        newest = select(func.max(images.c.time)).where(images.c.time < utc_text(now - DOUBT))
        before = None if is_steady else connection.scalar(newest)
        is_held = before is not None and before < utc_text(now - DOUBT - min(AHEAD, max_age * 2 / 3))
        if is_held and not self._is_held:
            logger.warning(
                "the clock says %s, but the newest row of the history from before the last day is of %s: no row is "
                "deleted by its age (ANOMALY_HISTORY_DAYS) until the server has run for a day; if the clock is wrong, "
                "set it right before that",
                *(utc_text(now), before),
            )
        self._is_held = is_held
        return 0 if is_held else delete_older(now - max_age, connection, limit=self._num_left)

    def _message(self, deleted: Mapping[str, int]) -> str:
        max_days, max_bytes = self._retention.max_days, self._retention.max_bytes
        reasons = {
            "age": f"as they were older than {max_days:g} days (ANOMALY_HISTORY_DAYS)" if max_days else "",
            "size": f"as all had more than {counted(max_bytes, 'byte')} (ANOMALY_HISTORY_BYTES)" if max_bytes else "",
        }
        parts = [f"{counted(deleted[why], 'row')} {reasons[why]}" for why in reasons if deleted[why]]
        return f"the history has deleted its oldest rows: {'; '.join(parts)}"


class _Clock:
    """The system's clock, and whether it has run for DOUBT without a jump."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._since = time.monotonic()

    def read(self) -> tuple[datetime, bool]:
        """What it says, and whether that is beyond doubt."""
        wall, passed = time.time(), time.monotonic()
        if abs(wall - passed - self._offset) > JUMP_S:
            self._since = passed
        self._offset = wall - passed
        return datetime.fromtimestamp(wall, UTC), passed - self._since >= DOUBT.total_seconds()
