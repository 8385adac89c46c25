"""The drift of each model in the history: its state goes on in the transaction that inserts the rows.

A store has one writing transaction at a time. Each reads the state that the commit before it left, feeds its rows in
the order of their ids, and writes the state. So after each row the state depends on the rows up to it, in the order of
their ids, and on nothing else: not on which server inserted them, nor on how they were grouped, nor on restarts. The
random numbers come from the bundle's digest. So it is, to the bit, that of one server which is fed the same rows. A
commit that fails leaves neither rows nor a state.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from anomaly.times import utc_text
from service.records.drift import Watched, warn_of_drift
from service.records.history.entries import HistoryEntry
from service.records.history.tables import drift, images

logger = logging.getLogger(__name__)

_STATE = select(drift.c.state, drift.c.alarm_time).where(drift.c.digest == bindparam("of"))
_INSERT = insert(drift)
_UPDATE = update(drift).where(drift.c.digest == bindparam("of"))


Moved = tuple[HistoryEntry, bool]
"""The last entry of a bundle in a commit, and whether it or one before it has set off the alarm."""


class DriftStreams:
    """The streams of all bundles that this process has inserted rows of. For the writer's thread, but for `read`."""

    def __init__(self, rate: float) -> None:
        """`rate`: of each alarm."""
        self._rate = rate
        self._watched: dict[str, Watched] = {}
        """As they are in the store, or were: the number of scores there tells."""

    def advance(self, entries: Sequence[HistoryEntry], connection: Connection) -> list[Moved]:
        """Feed rows that were just inserted, in the order of their ids; what is for `tell`, after the commit."""
        by_digest: dict[str, list[HistoryEntry]] = {}
        for entry in entries:
            by_digest.setdefault(entry.digest, []).append(entry)
        return [(each[-1], self._advance_one(digest, each, connection)) for digest, each in by_digest.items()]

    def tell(self, moved: Sequence[Moved]) -> None:
        """What `advance` gave is committed."""
        for entry, is_alarm in moved:
            if is_alarm:
                warn_of_drift(entry.model, entry.version, self._watched[entry.digest].drift)

    def forget(self) -> None:
        """What was fed is not committed, or the store may be another one: read all anew."""
        self._watched.clear()

    def read(self, digest: str, calibration: NDArray[np.float64], connection: Connection) -> Watched:
        """What is in the store of a bundle now; for any thread."""
        watched = Watched.new(digest, calibration, self._rate)
        row = connection.execute(_STATE, {"of": digest}).one_or_none()
        if row is None:
            return watched
        try:
            watched.drift.restore(row.state)
        except ValueError as error:
            logger.error("the drift of the bundle %s cannot be read and begins anew: %s", digest, error)
            return Watched.new(digest, calibration, self._rate)
        watched.alarm_time = row.alarm_time and datetime.fromisoformat(row.alarm_time)
        return watched

    def _advance_one(self, digest: str, entries: Sequence[HistoryEntry], connection: Connection) -> bool:
        """Whether the alarm has gone off."""
        if watched := self._watched.get(digest):
            here = drift.c.num_scores == watched.drift.num_scores  # else another server has inserted rows since
            is_alarm, values = _feed(watched, entries)
            if connection.execute(_UPDATE.where(here), {"of": digest, **values}).rowcount:
                return is_alarm
        watched = self._watched[digest] = self.read(digest, entries[0].calibration, connection)
        is_alarm, values = _feed(watched, entries)
        if not connection.execute(_UPDATE, {"of": digest, **values}).rowcount:
            connection.execute(_INSERT, {"digest": digest, **values})
        return is_alarm


def forget_drift(model: str, connection: Connection) -> int:
    """Let the streams of all versions of a model that have rows begin anew; how many there were.

    A bundle's digest may stand in the place of the name: the rows of a model may all be too old to be kept.
    Servers notice at their next row of it.
    """
    digests = select(images.c.digest).where(images.c.model == model)
    which = drift.c.digest.in_(digests) | (drift.c.digest == model)
    return connection.execute(delete(drift).where(which)).rowcount


def has_rows(model: str, connection: Connection) -> bool:
    """Whether there are rows of a model, or of one bundle by its digest."""
    found = select(images.c.id).where((images.c.model == model) | (images.c.digest == model)).limit(1)
    return connection.scalar(found) is not None


def models_of(connection: Connection) -> Sequence[str]:
    """The names of all models that have rows, sorted."""
    return connection.scalars(select(images.c.model).distinct().order_by(images.c.model)).all()


def _feed(watched: Watched, entries: Sequence[HistoryEntry]) -> tuple[bool, dict[str, object]]:
    """Whether the alarm has gone off, and what the store is to have."""
    alarms = [watched.add(entry.score, entry.p_value, entry.part) for entry in entries]
    time = watched.alarm_time and utc_text(watched.alarm_time)
    return any(alarms), {
        "num_scores": watched.drift.num_scores, "alarm_time": time, "state": watched.drift.to_bytes(),
    }  # fmt: skip
