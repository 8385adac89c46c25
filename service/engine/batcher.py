"""Micro-batching: images of many requests share the batches of one device.

An image is submitted undecoded. A pool of threads decodes it and puts it into the scheduler's queue. One worker thread
runs the networks on as many images as the scheduler hands out. The answers of a batch reach the event loop together, so
an image costs the event loop one wake-up on its way in and a share of one on its way out. What is drawn of a whole
picture for an answer is drawn by the threads that decode: their number bounds how many whole pictures are in memory.

An image whose answer is settled from outside, because its client has left or its deadline has passed, is never run.
Scores do not depend on who shares a batch (law 2). A batch that fails is halved until it passes, so that one failing
image never harms its neighbours (law 8), and a batch too large for the device's memory is scored in parts.

A thread that dies takes the batcher with it: whoever waits gets EngineFailedError at once, so does whoever comes later,
and `on_failure` is told why.
Shapes: b batch, c channels.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from anomaly.data import Picture, Pixels, PixelsOfImages
from anomaly.inference import Evidence, Explanation
from service.engine.scheduler import Scheduler
from service.errors import DeviceMemoryError, EngineFailedError

logger = logging.getLogger(__name__)
T = TypeVar("T")

LAST_BATCH_S = 5.0
"""How long a batch that still runs when the server ends is waited for."""
OUT_OF_MEMORY = ("DefaultCPUAllocator", "Failed to allocate memory", "bad_alloc")
"""What torch's and ONNX Runtime's errors say where a CPU has no memory left."""


class Scorer(Protocol):
    """What the batcher asks of a detector: blocking calls, one at a time."""

    @property
    def grain(self) -> int:
        """Smaller batches take as long as one of so many images."""

    def evidence(self, pixels: PixelsOfImages) -> Evidence:
        """The evidence of images, each image's its own: (b, c, h, w), or images of several shapes."""

    def examine(self, pixels: PixelsOfImages) -> tuple[Evidence, Explanation]:
        """The evidence of images, and their reconstructions and heatmaps."""


@dataclass(frozen=True)
class Scored:
    """One image's evidence; if asked, x_hat (c, h, w) in [-1, 1], where there is a G, and the heatmap (h, w) too."""

    score: float
    terms: dict[str, float]
    picture: Picture
    x_hat: NDArray[np.float32] | None
    heatmap: NDArray[np.float32] | None


@dataclass(eq=False)
class _Job:
    scorer: Scorer
    read: Callable[[], Picture]
    heatmap: bool
    weight: int
    answer: asyncio.Future[Scored]
    picture: Picture = field(init=False)
    since: float = 0.0


Outcomes = list[tuple[_Job, Scored | Exception]]
BatchObserver = Callable[[Any, Sequence[float], float], None]
"""Told of each device batch: its scorer, how long each of its images waited, and how long it took, in seconds."""


class Batcher:
    """Batches for one device. `start` and `close` it on the event loop that uses it."""

    def __init__(
        self,
        *,
        max_batch: int,
        max_wait_s: float,
        max_batch_s: float,
        threads: int,
        observe: BatchObserver,
        on_failure: Callable[[str], None],
    ) -> None:
        """`on_failure` is called on the event loop, once, with the reason why no image can be scored any more."""
        self.device = threading.Lock()
        """Held by whoever runs the networks: the worker, or a thread that warms a detector between two batches."""
        self.scheduler: Scheduler[Scorer, _Job] = Scheduler(
            max_batch=max_batch, max_wait_s=max_wait_s, max_batch_s=max_batch_s
        )
        self.failure: str | None = None
        """Why no image can be scored any more; None while all threads live."""
        self._observe = observe
        self._on_failure = on_failure
        self._open: set[asyncio.Future[Any]] = set()
        self._for_decoders: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._decoders = [self._thread(f"decoder {i}", self._decode_all) for i in range(1, threads + 1)]
        self._worker = self._thread("batcher", self._work)

    def start(self) -> None:
        """Start the threads."""
        self._loop = asyncio.get_running_loop()
        for thread in (self._worker, *self._decoders):
            thread.start()

    async def close(self) -> None:
        """Answer what waits, and stop the threads."""
        for _ in self._decoders:
            self._for_decoders.put(None)
        for decoder in self._decoders:
            await asyncio.to_thread(decoder.join)
        self.scheduler.close()
        await asyncio.to_thread(self._worker.join, LAST_BATCH_S)

    def check(self) -> None:
        """Raise EngineFailedError if no image can be scored any more."""
        if self.failure:
            raise EngineFailedError(EngineFailedError.MESSAGE)

    def submit(
        self, scorer: Scorer, read: Callable[[], Picture], *, heatmap: bool = False, weight: int = 1
    ) -> asyncio.Future[Scored]:
        """Score the image that `read`, called in another thread, gives; what it raises becomes the answer.

        `weight` is how many ordinary images it counts for (see `Scheduler`).

        The answer is DeviceMemoryError if the device has no memory for this one image, and EngineFailedError if a
        thread dies meanwhile. Raises EngineFailedError if one has died already.
        """
        job = _Job(scorer, read, heatmap, weight, self._new_answer())
        self.scheduler.announce(scorer)
        self._for_decoders.put(partial(self._decode, job))
        return job.answer

    def in_decoder(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """What `work`, called in one of the threads that decode, gives; what it raises becomes the answer.

        The answer is EngineFailedError if a thread dies meanwhile. Raises EngineFailedError if one has died already.
        """
        answer: asyncio.Future[T] = self._new_answer()
        self._for_decoders.put(partial(self._do, work, answer))
        return answer

    def _new_answer(self) -> asyncio.Future[Any]:
        self.check()
        answer = self._loop.create_future()
        self._open.add(answer)
        answer.add_done_callback(self._open.discard)
        return answer

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # a SystemExit too would end the thread without a word
                with suppress(RuntimeError):  # the event loop is closed: nobody waits
                    self._loop.call_soon_threadsafe(self._fail, name, error)

        return threading.Thread(target=run, name=name, daemon=True)

    def _fail(self, thread: str, error: BaseException) -> None:
        """A thread has died: tell everybody."""
        logger.critical("the thread %r died", thread, exc_info=error)
        if self.failure:
            return
        self.failure = f"the thread {thread!r} died of {type(error).__name__}: {error}"
        for answer in list(self._open):
            if not answer.done():
                answer.set_exception(EngineFailedError(EngineFailedError.MESSAGE))
        self._on_failure(self.failure)

    def _decode_all(self) -> None:
        while (work := self._for_decoders.get()) is not None:
            work()

    def _decode(self, job: _Job) -> None:
        if job.answer.done():
            self.scheduler.retract(job.scorer)
            return
        try:
            job.picture = job.read()
        except Exception as error:
            self.scheduler.retract(job.scorer)
            self._deliver([(job, error)])
        else:
            job.since = perf_counter()
            self.scheduler.put(job.scorer, job, job.weight)

    def _do(self, work: Callable[[], T], answer: asyncio.Future[T]) -> None:
        if answer.done():
            return
        outcome: T | Exception
        try:
            outcome = work()
        except Exception as error:
            outcome = error
        self._loop.call_soon_threadsafe(_give, answer, outcome)

    def _work(self) -> None:
        while batch := self.scheduler.take():
            scorer, jobs = batch
            jobs = [job for job in jobs if not job.answer.done()]
            if jobs:
                with self.device:
                    start = perf_counter()
                    outcomes = self._answer(scorer, jobs)
                    self.scheduler.charge(scorer, sum(job.weight for job in jobs), perf_counter() - start)
                self._deliver(outcomes)

    def _answer(self, scorer: Scorer, jobs: list[_Job]) -> Outcomes:
        start = perf_counter()
        try:
            scored = _run(scorer, jobs)
        except Exception as error:
            if len(jobs) == 1:
                return [(jobs[0], _out_of_memory(error) if _is_out_of_memory(error) else error)]
            half = len(jobs) // 2
            return self._answer(scorer, jobs[:half]) + self._answer(scorer, jobs[half:])
        self._observe(scorer, [start - job.since for job in jobs], perf_counter() - start)
        return list(zip(jobs, scored, strict=True))

    def _deliver(self, outcomes: Outcomes) -> None:
        self._loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: Outcomes) -> None:
    for job, outcome in outcomes:
        _give(job.answer, outcome)


def _give(answer: asyncio.Future[T], outcome: T | Exception) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


def _run(scorer: Scorer, jobs: Sequence[_Job]) -> list[Scored]:
    scored: dict[int, Scored] = {}
    for heatmap in (False, True):
        rows = [i for i, job in enumerate(jobs) if job.heatmap is heatmap]
        if rows:
            scored |= zip(rows, _scored(scorer, [jobs[i].picture for i in rows], heatmap=heatmap), strict=True)
    return [scored[i] for i in range(len(jobs))]


def _scored(scorer: Scorer, pictures: Sequence[Picture], *, heatmap: bool) -> Iterator[Scored]:
    pixels = _together([picture.pixels for picture in pictures])
    evidence, explanation = scorer.examine(pixels) if heatmap else (scorer.evidence(pixels), None)
    for i, picture in enumerate(pictures):
        yield Scored(
            score=float(evidence.score[i]),
            terms={name: float(values[i]) for name, values in evidence.terms.items()},
            picture=picture,
            x_hat=None if explanation is None or explanation.x_hat is None else explanation.x_hat[i],
            heatmap=None if explanation is None else explanation.heatmap[i],
        )


def _together(images: Sequence[Pixels]) -> PixelsOfImages:
    """As one array where all have one shape."""
    return np.stack(images) if len({image.shape for image in images}) == 1 else images


def _is_out_of_memory(error: Exception) -> bool:
    """As torch may be absent, its class is known by name; on a CPU the text of an error names the allocator."""
    names, said = {kind.__name__ for kind in type(error).__mro__}, str(error)
    return not names.isdisjoint({"OutOfMemoryError", "MemoryError"}) or any(text in said for text in OUT_OF_MEMORY)


def _out_of_memory(error: Exception) -> DeviceMemoryError:
    failure = DeviceMemoryError("The device has not enough memory for this image now; try again later.")
    failure.__cause__ = error
    return failure
