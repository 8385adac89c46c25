"""Micro-batching: images of many requests share the passes of one device.

Routes admit images (a full house refuses them), decode them, and await `score`. One worker thread owns the device: it
takes what waits, at most `max_batch` images; while more images are on their way it waits for them, at most
`max_wait_s`; a lone image never waits. Scores do not depend on who shares a batch (law 2), and a batch that fails is
taken apart and scored image by image, so that one failing image never harms its neighbours (law 8).

Everything but the worker runs on the event loop's thread, so the counts need no lock.
Shapes: b batch, c channels.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from anomaly.inference import Evidence
from service.errors import OverloadedError


class Scorer(Protocol):
    """What the batcher asks of a detector: blocking calls, one at a time."""

    def evidence(self, pixels: NDArray[np.uint8]) -> Evidence:
        """The evidence of (b, c, size, size) pixels, each image's its own."""

    def heatmaps(self, pixels: NDArray[np.uint8], z_hat: NDArray[np.float32]) -> NDArray[np.float32]:
        """Heatmaps (b, size, size) of images whose latents (b, latent_dim) are known."""


@dataclass(frozen=True)
class Scored:
    """One image's evidence: x_hat (c, size, size) in [-1, 1]; heatmap (size, size), if asked."""

    score: float
    terms: dict[str, float]
    x_hat: NDArray[np.float32]
    heatmap: NDArray[np.float32] | None


@dataclass(frozen=True)
class _Waiting:
    scorer: Scorer
    pixels: NDArray[np.uint8]
    heatmap: bool
    answer: Future[Scored] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)


Observer = Callable[[Any, Sequence[float], float], None]
"""Told of each device batch: its scorer, how long each of its images waited, and how long it took, in seconds."""


class Batcher:
    """A bounded queue before one device. `start` and `close` it on the event loop that uses it."""

    def __init__(self, *, max_batch: int, max_wait_s: float, max_queue: int, observe: Observer) -> None:
        self.max_batch = max_batch
        self.max_wait_s = max_wait_s
        self.max_queue = max_queue
        self.num_admitted = 0
        self._admitted_at: dict[object, float] = {}  # in the order of admission
        self._observe = observe
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._closed = False

    def start(self) -> None:
        """Start the worker."""
        self._worker.start()

    async def close(self) -> None:
        """Refuse new images, answer those that wait, and stop the worker."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._worker.join)

    @contextmanager
    def admit(self, num_images: int = 1) -> Iterator[None]:
        """Keep room for images from before they are decoded until they are answered.

        Raises OverloadedError if there is none.
        """
        if self.num_admitted + num_images > self.max_queue:
            raise OverloadedError(
                f"The server is busy with {self.num_admitted} images and takes {self.max_queue}; try again soon."
            )
        self.num_admitted += num_images
        ticket = object()
        self._admitted_at[ticket] = time.perf_counter()
        try:
            yield
        finally:
            self.num_admitted -= num_images
            del self._admitted_at[ticket]

    @property
    def age_s(self) -> float:
        """For how long the oldest image that is admitted has been so; 0 if there is none."""
        oldest = next(iter(self._admitted_at.values()), None)
        return 0.0 if oldest is None else time.perf_counter() - oldest

    async def score(self, scorer: Scorer, pixels: NDArray[np.uint8], *, heatmap: bool = False) -> Scored:
        """Score one admitted image of (c, size, size) pixels. If the caller is cancelled first, it is never run."""
        if self._closed:
            raise OverloadedError("The server is shutting down; try again shortly.")
        waiting = _Waiting(scorer, pixels, heatmap)
        self._queue.put(waiting)
        return await asyncio.wrap_future(waiting.answer)

    def _work(self) -> None:
        going_on = True
        while going_on:
            batch, going_on = self._collect()
            for group in _groups(batch):
                self._answer(group)

    def _collect(self) -> tuple[list[_Waiting], bool]:
        """The next batch, and whether there may be another after it."""
        batch: list[_Waiting] = []
        deadline = math.inf
        while len(batch) < self.max_batch:
            try:
                waiting = self._queue.get(timeout=None if not batch else self._patience(batch, deadline))
            except Empty:
                break
            if waiting is None:
                return batch, False
            if waiting.answer.set_running_or_notify_cancel():
                batch.append(waiting)
                deadline = min(deadline, time.perf_counter() + self.max_wait_s)
        return batch, True

    def _patience(self, batch: list[_Waiting], deadline: float) -> float:
        others_are_coming = self.num_admitted > len(batch)
        return max(0.0, deadline - time.perf_counter()) if others_are_coming else 0.0

    def _answer(self, group: list[_Waiting]) -> None:
        start = time.perf_counter()
        try:
            outcomes = _run(group)
        except Exception as error:
            if len(group) == 1:
                group[0].answer.set_exception(error)
            else:
                for waiting in group:
                    self._answer([waiting])
            return
        self._observe(group[0].scorer, [start - waiting.since for waiting in group], time.perf_counter() - start)
        for waiting, scored in zip(group, outcomes, strict=True):
            waiting.answer.set_result(scored)


def _groups(batch: Sequence[_Waiting]) -> list[list[_Waiting]]:
    """Images that can pass the networks together: the same detector, and all or none with a heatmap."""
    groups: dict[tuple[int, bool], list[_Waiting]] = {}
    for waiting in batch:
        groups.setdefault((id(waiting.scorer), waiting.heatmap), []).append(waiting)
    return list(groups.values())


def _run(group: Sequence[_Waiting]) -> list[Scored]:
    scorer = group[0].scorer
    pixels = np.stack([waiting.pixels for waiting in group])
    evidence = scorer.evidence(pixels)
    heatmaps = scorer.heatmaps(pixels, evidence.z_hat) if group[0].heatmap else None
    return [
        Scored(
            score=float(evidence.score[i]),
            terms={name: float(values[i]) for name, values in evidence.terms.items()},
            x_hat=evidence.x_hat[i],
            heatmap=None if heatmaps is None else heatmaps[i],
        )
        for i in range(len(group))
    ]
