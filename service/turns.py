"""Whose turn it is on the device: a line of images for each detector, and the device's time shared evenly among them.

The next turn is the detector's that has used the least time among those that images wait for, so a latent search of
seconds and an encoder of milliseconds get half of the device each while both are asked for, and neither starves. Time
that nobody waited for earns no credit: a detector that comes back starts level with the one whose turn it was last
(start-time fair queueing, Goyal et al. 1996).

One thread announces, any may put, one takes. Lines of detectors that are gone disappear with them.
"""

import math
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Scorer = TypeVar("Scorer")
Job = TypeVar("Job")

MEMORY = 0.8
"""How much of the expected time of a grain stays when a new one is measured."""


@dataclass
class _Line(Generic[Job]):
    """Jobs of one detector; the device's time it has used, and what a grain of jobs lately took, in seconds."""

    jobs: deque[Job] = field(default_factory=deque)
    num_announced: int = 0
    num_arrived: int = 0
    used_s: float = 0.0
    grain_s: float | None = None

    @property
    def num_on_their_way(self) -> int:
        """Jobs that were announced and are not here yet."""
        return self.num_announced - self.num_arrived


class Turns(Generic[Scorer, Job]):
    """Lines of jobs before one device.

    A turn has at most `max_batch` jobs, and no more than are expected to take `max_turn_s`, but at least a grain. If
    more than a `grain` wait, it has a whole number of grains: networks fill their batches up to that, and what is left
    over shares the next turn. While jobs are announced, and no other detector wants the device, the turn begins up to
    `max_wait_s` later; a lone job never waits.
    """

    def __init__(self, *, max_batch: int, max_wait_s: float, max_turn_s: float, grain: int = 1) -> None:
        self.max_batch = max_batch
        self.max_wait_s = max_wait_s
        self.max_turn_s = max_turn_s
        self.grain = min(grain, max_batch)
        self._lines: WeakKeyDictionary[Scorer, _Line[Job]] = WeakKeyDictionary()
        self._changed = threading.Condition()
        self._num_wanted = 1  # jobs in a line that are worth waking the taker for
        self._level_s = 0.0
        self._closed = False

    def announce(self, scorer: Scorer) -> None:
        """Say that a job is on its way. Only one thread may announce; it never waits for the others."""
        line = self._lines.get(scorer)
        if line is None:
            with self._changed:
                line = self._line(scorer)
        line.num_announced += 1

    def retract(self, scorer: Scorer) -> None:
        """Say that an announced job will not come."""
        with self._changed:
            self._line(scorer).num_arrived += 1
            self._changed.notify()

    def put(self, scorer: Scorer, job: Job) -> None:
        """Put an announced job at the end of its detector's line."""
        with self._changed:
            line = self._line(scorer)
            line.num_arrived += 1
            if not line.jobs:
                line.used_s = max(line.used_s, self._level_s)
            line.jobs.append(job)
            if len(line.jobs) >= self._num_wanted or len(self._waiting()) > 1:
                self._changed.notify()

    def close(self) -> None:
        """Let `take` hand out what waits, and then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self) -> tuple[Scorer, list[Job]] | None:
        """The next turn's detector and jobs; blocks until there are some. None when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting())
            if not (waiting := self._waiting()):
                return None
            self._wait_for_more(waiting[0])
            scorer = min(self._waiting(), key=lambda each: self._lines[each].used_s)
            line = self._lines[scorer]
            self._level_s = line.used_s
            return scorer, [line.jobs.popleft() for _ in range(self._num_taken(line))]

    def charge(self, scorer: Scorer, num_jobs: int, seconds: float) -> None:
        """Note what a turn with so many jobs took."""
        with self._changed:
            line = self._line(scorer)
            line.used_s += seconds
            grain_s = seconds / math.ceil(num_jobs / self.grain)
            line.grain_s = grain_s if line.grain_s is None else MEMORY * line.grain_s + (1 - MEMORY) * grain_s

    def expected_s(self, scorer: Scorer, num_jobs: int) -> float:
        """How long so many jobs of a detector take, as its turns lately did; 0 if it had none yet."""
        line = self._lines.get(scorer)
        return math.ceil(num_jobs / self.grain) * (line.grain_s or 0.0) if line else 0.0

    def _wait_for_more(self, scorer: Scorer) -> None:
        end = time.monotonic() + self.max_wait_s
        line = self._lines[scorer]
        while line.num_on_their_way and not (
            len(line.jobs) >= self.max_batch or len(self._waiting()) > 1 or self._closed
        ):
            self._num_wanted = min(self.max_batch, len(line.jobs) + line.num_on_their_way)
            is_woken = self._changed.wait(end - time.monotonic())
            self._num_wanted = 1
            if not is_woken:
                break

    def _num_taken(self, line: _Line[Job]) -> int:
        num = min(self.max_batch, len(line.jobs))
        if line.grain_s and num > self.grain:
            num = min(num, int(self.max_turn_s / line.grain_s) * self.grain)
        return max(num - num % self.grain, min(self.grain, len(line.jobs)))

    def _waiting(self) -> list[Scorer]:
        return [scorer for scorer, line in self._lines.items() if line.jobs]

    def _line(self, scorer: Scorer) -> _Line[Job]:
        return self._lines.setdefault(scorer, _Line())
