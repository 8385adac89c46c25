"""Which detector's images run next on the device: one queue for each detector, and the device's time shared fairly.

The next batch is from the detector that has used the least device time among those with waiting images. A latent search
of seconds and an encoder of milliseconds so get half of the device each while both are asked for, and neither starves.
Unused time earns no credit: a detector that comes back starts level with the one that ran last (start-time fair
queueing, Goyal et al. 1996).

A job has a weight: a large picture counts for as many ordinary images as have its pixels.

One thread calls `announce`, any thread may call `put` and `retract`, one thread calls `take`. The queue of a detector
disappears with the detector.
"""

import math
import threading
import time
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary


class Grained(Protocol):
    """What the scheduler asks of a detector."""

    @property
    def grain(self) -> int:
        """Smaller batches take as long as one of so many images."""


Scorer = TypeVar("Scorer", bound=Grained)
Job = TypeVar("Job")

MEMORY = 0.8
"""The weight of the old estimate when the time of a grain is measured again."""
NUM_LATELY, LATELY_S, NUM_SURE = 8, 300.0, 3
"""What a detector takes at the least is judged by its last full batches, if none is older, and these are enough."""


@dataclass
class _Queue(Generic[Job]):
    """One detector's jobs, the device time it has used, and what a grain of jobs lately took, in seconds."""

    grain: int
    jobs: deque[tuple[Job, int]] = field(default_factory=deque)  # with their weights
    num_announced: int = 0
    num_arrived: int = 0
    used_s: float = 0.0
    grain_s: float | None = None
    full: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=NUM_LATELY))  # when; s of a weight

    @property
    def num_expected(self) -> int:
        """Jobs that were announced and have not arrived yet."""
        return self.num_announced - self.num_arrived


class Scheduler(Generic[Scorer, Job]):
    """Queues of jobs for one device.

    A batch weighs at most `max_batch`, and no more than is expected to take `max_batch_s`, but at least a grain of its
    detector. A job that weighs more has a batch of its own. If more than a grain wait, it has a whole number of grains:
    some engines fill their batches up to that, so the remainder waits for the next batch. While further jobs are
    announced, and no other detector has jobs, a batch starts up to `max_wait_s` later. A lone job never waits.
    """

    def __init__(self, *, max_batch: int, max_wait_s: float, max_batch_s: float) -> None:
        self.max_batch = max_batch
        self.max_wait_s = max_wait_s
        self.max_batch_s = max_batch_s
        self._queues: WeakKeyDictionary[Scorer, _Queue[Job]] = WeakKeyDictionary()
        self._changed = threading.Condition()
        self._num_wanted = 1  # queued jobs that are worth waking the taker for
        self._level_s = 0.0
        self._closed = False

    def announce(self, scorer: Scorer) -> None:
        """Say that a job will come. Only one thread may announce; it never waits for the others."""
        queue = self._queues.get(scorer)
        if queue is None:
            with self._changed:
                queue = self._queue(scorer)
        queue.num_announced += 1

    def retract(self, scorer: Scorer) -> None:
        """Say that an announced job will not come."""
        with self._changed:
            self._queue(scorer).num_arrived += 1
            self._changed.notify()

    def put(self, scorer: Scorer, job: Job, weight: int = 1) -> None:
        """Put an announced job at the end of its detector's queue; it counts for `weight` ordinary images."""
        with self._changed:
            queue = self._queue(scorer)
            queue.num_arrived += 1
            if not queue.jobs:
                queue.used_s = max(queue.used_s, self._level_s)
            queue.jobs.append((job, weight))
            if len(queue.jobs) >= self._num_wanted or len(self._waiting()) > 1:
                self._changed.notify()

    def close(self) -> None:
        """Let `take` hand out what waits, and then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self) -> tuple[Scorer, list[Job]] | None:
        """The next batch: its detector and its jobs. Blocks until there is one; None when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting())
            if not (waiting := self._waiting()):
                return None
            self._wait_for_more(waiting[0])
            scorer = min(self._waiting(), key=lambda each: self._queues[each].used_s)
            queue = self._queues[scorer]
            self._level_s = queue.used_s
            return scorer, [queue.jobs.popleft()[0] for _ in range(self._num_taken(queue))]

    def charge(self, scorer: Scorer, weight: int, seconds: float) -> None:
        """Note how long a batch of that weight took."""
        with self._changed:
            queue = self._queue(scorer)
            queue.used_s += seconds
            if 2 * weight > (most := self._most(queue)):
                queue.full.append((time.monotonic(), seconds / max(weight, most)))  # a fuller one took no less
            grain_s = seconds / math.ceil(weight / queue.grain)
            queue.grain_s = grain_s if queue.grain_s is None else MEMORY * queue.grain_s + (1 - MEMORY) * grain_s

    def expected_s(self, scorer: Scorer, weight: int) -> float:
        """How long jobs of that weight take a detector, judged by its last batches; 0 if it had none yet."""
        queue = self._queues.get(scorer)
        return math.ceil(weight / queue.grain) * (queue.grain_s or 0.0) if queue else 0.0

    def least_s(self, scorer: Scorer, weight: int) -> float:
        """How long jobs of that weight take a detector at the least, by the fastest of its last full batches.

        0 where these are too few, or too old: the time of a batch may have been that of a busy machine.
        """
        oldest = time.monotonic() - LATELY_S
        with self._changed:
            queue = self._queues.get(scorer)
            each_s = [each_s for at, each_s in queue.full if at >= oldest] if queue else []
        return weight * min(each_s) if len(each_s) >= NUM_SURE else 0.0

    def _wait_for_more(self, scorer: Scorer) -> None:
        end = time.monotonic() + self.max_wait_s
        queue = self._queues[scorer]
        while queue.num_expected and not (
            len(queue.jobs) >= self.max_batch or len(self._waiting()) > 1 or self._closed
        ):
            self._num_wanted = min(self.max_batch, len(queue.jobs) + queue.num_expected)
            is_woken = self._changed.wait(end - time.monotonic())
            self._num_wanted = 1
            if not is_woken:
                break

    def _num_taken(self, queue: _Queue[Job]) -> int:
        """Of its first jobs, those whose weights fit; one at least."""
        until = list(accumulate(weight for _, weight in queue.jobs))
        most = min(self._most(queue), until[-1])
        most = max(most - most % queue.grain, min(queue.grain, until[-1]))
        return max(bisect_right(until, most), 1)

    def _most(self, queue: _Queue[Job]) -> int:
        """What a batch of several jobs may weigh."""
        if not queue.grain_s:
            return self.max_batch
        return max(queue.grain, min(self.max_batch, int(self.max_batch_s / queue.grain_s) * queue.grain))

    def _waiting(self) -> list[Scorer]:
        return [scorer for scorer, queue in self._queues.items() if queue.jobs]

    def _queue(self, scorer: Scorer) -> _Queue[Job]:
        return self._queues.setdefault(scorer, _Queue(min(scorer.grain, self.max_batch)))
