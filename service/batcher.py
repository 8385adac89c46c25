"""Micro-batching: images of many requests share the passes of one device.

An image is handed in unread. A pool of threads decodes it and puts it before the device; one worker thread lets the
networks run, on as many as wait (see `turns`); the answers of a pass reach the event loop together. So an image costs
the event loop one wake-up to come in and a share of one to go out.

An image whose answer is settled from outside, because its client has left or its deadline has passed, is never run.
Scores do not depend on who shares a batch (law 2). A batch that fails is halved until it passes, so that one failing
image never harms its neighbours (law 8), and a batch too large for the device's memory is scored in parts.
Shapes: b batch, c channels.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.inference import BATCH_GRAIN, Evidence
from service.errors import DeviceMemoryError
from service.turns import Turns

LAST_PASS_S = 5.0
"""How long a pass that still runs when the server ends is waited for."""


class Scorer(Protocol):
    """What the batcher asks of a detector: blocking calls, one at a time."""

    def evidence(self, pixels: NDArray[np.uint8]) -> Evidence:
        """The evidence of (b, c, size, size) pixels, each image's its own."""

    def heatmaps(self, pixels: NDArray[np.uint8], z_hat: NDArray[np.float32]) -> NDArray[np.float32]:
        """Heatmaps (b, size, size) of images whose latents (b, latent_dim) are known."""


@dataclass(frozen=True)
class Picture:
    """One image ready for the networks: pixels (c, size, size), and the original's height and width in pixels."""

    pixels: NDArray[np.uint8]
    height: int
    width: int


@dataclass(frozen=True)
class Scored:
    """One image's evidence: x_hat (c, size, size) in [-1, 1]; heatmap (size, size), if asked."""

    score: float
    terms: dict[str, float]
    picture: Picture
    x_hat: NDArray[np.float32]
    heatmap: NDArray[np.float32] | None


@dataclass(eq=False)
class _Job:
    scorer: Scorer
    read: Callable[[], Picture]
    heatmap: bool
    answer: asyncio.Future[Scored]
    picture: Picture = field(init=False)
    since: float = 0.0


Outcomes = list[tuple[_Job, Scored | Exception]]
Observer = Callable[[Any, Sequence[float], float], None]
"""Told of each device batch: its scorer, how long each of its images waited, and how long it took, in seconds."""


class Batcher:
    """The line before one device. `start` and `close` it on the event loop that uses it."""

    def __init__(
        self, *, max_batch: int, max_wait_s: float, max_turn_s: float, threads: int, observe: Observer
    ) -> None:
        self.device = threading.Lock()
        """Held by whoever lets the networks run: the worker, or a thread that warms a detector between two passes."""
        self.turns: Turns[Scorer, _Job] = Turns(
            max_batch=max_batch, max_wait_s=max_wait_s, max_turn_s=max_turn_s, grain=BATCH_GRAIN
        )
        self._observe = observe
        self._unread: SimpleQueue[_Job | None] = SimpleQueue()
        self._readers = [threading.Thread(target=self._read_all, name="decode", daemon=True) for _ in range(threads)]
        self._worker = threading.Thread(target=self._work, name="batcher", daemon=True)

    def start(self) -> None:
        """Start the worker."""
        self._loop = asyncio.get_running_loop()
        for thread in (self._worker, *self._readers):
            thread.start()

    async def close(self) -> None:
        """Answer what waits, and stop the threads."""
        for _ in self._readers:
            self._unread.put(None)
        for reader in self._readers:
            await asyncio.to_thread(reader.join)
        self.turns.close()
        await asyncio.to_thread(self._worker.join, LAST_PASS_S)

    def submit(self, scorer: Scorer, read: Callable[[], Picture], *, heatmap: bool = False) -> asyncio.Future[Scored]:
        """Score the image that `read`, called in another thread, gives; what it raises becomes the answer.

        Raises DeviceMemoryError, as the answer, if the device has no room for this one image.
        """
        job = _Job(scorer, read, heatmap, self._loop.create_future())
        self.turns.announce(scorer)
        self._unread.put(job)
        return job.answer

    def _read_all(self) -> None:
        while (job := self._unread.get()) is not None:
            self._read(job)

    def _read(self, job: _Job) -> None:
        if job.answer.done():
            self.turns.retract(job.scorer)
            return
        try:
            job.picture = job.read()
        except Exception as error:
            self.turns.retract(job.scorer)
            self._deliver([(job, error)])
        else:
            job.since = perf_counter()
            self.turns.put(job.scorer, job)

    def _work(self) -> None:
        while turn := self.turns.take():
            scorer, jobs = turn
            jobs = [job for job in jobs if not job.answer.done()]
            if jobs:
                with self.device:
                    start = perf_counter()
                    outcomes = self._answer(scorer, jobs)
                    self.turns.charge(scorer, len(jobs), perf_counter() - start)
                self._deliver(outcomes)

    def _answer(self, scorer: Scorer, jobs: list[_Job]) -> Outcomes:
        start = perf_counter()
        try:
            scored = _pass(scorer, jobs)
        except Exception as error:
            if len(jobs) == 1:
                return [(jobs[0], _no_room(error) if _is_out_of_memory(error) else error)]
            half = len(jobs) // 2
            return self._answer(scorer, jobs[:half]) + self._answer(scorer, jobs[half:])
        self._observe(scorer, [start - job.since for job in jobs], perf_counter() - start)
        return list(zip(jobs, scored, strict=True))

    def _deliver(self, outcomes: Outcomes) -> None:
        self._loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: Outcomes) -> None:
    for job, outcome in outcomes:
        if job.answer.done():
            continue
        if isinstance(outcome, Scored):
            job.answer.set_result(outcome)
        else:
            job.answer.set_exception(outcome)


def _pass(scorer: Scorer, jobs: Sequence[_Job]) -> list[Scored]:
    pixels = np.stack([job.picture.pixels for job in jobs])
    evidence = scorer.evidence(pixels)
    explained = [i for i, job in enumerate(jobs) if job.heatmap]
    heatmaps = scorer.heatmaps(pixels[explained], evidence.z_hat[explained]) if explained else ()
    heatmap_of = dict(zip(explained, heatmaps, strict=True))
    return [
        Scored(
            score=float(evidence.score[i]),
            terms={name: float(values[i]) for name, values in evidence.terms.items()},
            picture=job.picture,
            x_hat=evidence.x_hat[i],
            heatmap=heatmap_of.get(i),
        )
        for i, job in enumerate(jobs)
    ]


def _is_out_of_memory(error: Exception) -> bool:
    """On a GPU torch has a class for it; on a CPU it is a plain RuntimeError of the allocator."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def _no_room(error: Exception) -> DeviceMemoryError:
    failure = DeviceMemoryError("The device has not enough memory for this image now; try again later.")
    failure.__cause__ = error
    return failure
