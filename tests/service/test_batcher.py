import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomaly.inference import Evidence
from service.batcher import Batcher, Scored
from service.errors import OverloadedError

BAD = 255


@dataclass
class Device:
    """Scores an image by its first pixel, fails on BAD, and can be held up."""

    gate: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    batches: list[list[int]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def evidence(self, pixels: NDArray[np.uint8]) -> Evidence:
        self.entered.set()
        assert self.gate.wait(10)
        self.threads.add(threading.get_ident())
        tags = pixels[:, 0, 0, 0]
        self.batches.append(tags.tolist())
        if BAD in tags:
            raise ValueError("bad image")
        return Evidence(tags.astype(np.float64), {}, tags[:, None].astype(np.float32), pixels.astype(np.float32))

    def heatmaps(self, pixels: NDArray[np.uint8], z_hat: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.broadcast_to(z_hat[:, :, None], (len(pixels), 2, 2))


def opened(device: Device) -> Device:
    device.gate.set()
    return device


def image(tag: int) -> NDArray[np.uint8]:
    return np.full((1, 2, 2), tag, np.uint8)


def with_batcher(
    work: Callable[[Batcher], Awaitable[Any]], *, max_batch: int = 8, max_wait_s: float = 0.0, max_queue: int = 100
) -> list[tuple[Sequence[float], float]]:
    """Do `work` beside a running batcher; returns what it observed of its batches."""
    observed: list[tuple[Sequence[float], float]] = []

    async def scene() -> None:
        batcher = Batcher(
            max_batch=max_batch,
            max_wait_s=max_wait_s,
            max_queue=max_queue,
            observe=lambda scorer, queue_s, inference_s: observed.append((queue_s, inference_s)),
        )
        batcher.start()
        try:
            await work(batcher)
        finally:
            await batcher.close()

    asyncio.run(scene())
    return observed


async def entered(device: Device) -> None:
    assert await asyncio.to_thread(device.entered.wait, 10)


def outcome(result: Scored | BaseException) -> float | str:
    return result.score if isinstance(result, Scored) else str(result)


@settings(max_examples=40, deadline=None)
@given(
    tags=st.lists(st.integers(0, BAD), max_size=40),
    max_batch=st.integers(1, 9),
    heatmap=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_each_image_gets_its_own_answer_whatever_its_neighbours_are(
    tags: list[int], max_batch: int, heatmap: list[bool]
) -> None:
    device = opened(Device())

    async def work(batcher: Batcher) -> None:
        calls = [batcher.score(device, image(tag), heatmap=heatmap[i]) for i, tag in enumerate(tags)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert ["bad image" if tag == BAD else float(tag) for tag in tags] == [outcome(result) for result in results]
        for i, result in enumerate(results):
            if isinstance(result, Scored):
                assert tags[i] == result.x_hat[0, 0, 0]
                assert heatmap[i] == (result.heatmap is not None)
                assert result.heatmap is None or (result.heatmap == tags[i]).all()

    observed = with_batcher(work, max_batch=max_batch)
    assert max(map(len, device.batches), default=0) <= max_batch
    assert sum(tag != BAD for tag in tags) == sum(len(queue_s) for queue_s, _ in observed)
    assert len(device.threads) <= 1


def test_what_waits_shares_a_batch_and_detectors_do_not() -> None:
    first, second = Device(), opened(Device())

    async def work(batcher: Batcher) -> None:
        running = asyncio.create_task(batcher.score(first, image(0)))
        await entered(first)
        calls = [batcher.score(device, image(tag)) for tag in range(1, 7) for device in (first, second)]
        waiting = asyncio.gather(*calls)
        await asyncio.sleep(0)
        first.gate.set()
        await asyncio.gather(running, waiting)

    with_batcher(work, max_batch=12)
    assert first.batches == [[0], [1, 2, 3, 4, 5, 6]]
    assert second.batches == [[1, 2, 3, 4, 5, 6]]


def test_an_image_waits_for_others_that_are_on_their_way_but_not_when_alone() -> None:
    device = opened(Device())

    async def work(batcher: Batcher) -> None:
        with batcher.admit():
            await asyncio.wait_for(batcher.score(device, image(1)), timeout=10)
        with batcher.admit(2):
            first = asyncio.create_task(batcher.score(device, image(2)))
            await asyncio.sleep(0.05)
            await asyncio.gather(first, batcher.score(device, image(3)))

    with_batcher(work, max_wait_s=3600.0, max_batch=2)
    assert device.batches == [[1], [2, 3]]


def test_a_full_house_refuses_and_has_room_again_afterwards() -> None:
    async def work(batcher: Batcher) -> None:
        with batcher.admit(3):
            with pytest.raises(OverloadedError, match="3 images"), batcher.admit(2):
                pass
            with batcher.admit():
                assert batcher.num_admitted == 4
        assert batcher.num_admitted == 0
        with batcher.admit(4):
            pass

    with_batcher(work, max_queue=4)


def test_a_cancelled_image_is_never_run() -> None:
    device = Device()

    async def work(batcher: Batcher) -> None:
        running = asyncio.create_task(batcher.score(device, image(1)))
        await entered(device)
        left = asyncio.create_task(batcher.score(device, image(2)))
        stayed = asyncio.create_task(batcher.score(device, image(3)))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        device.gate.set()
        await asyncio.gather(running, stayed)

    with_batcher(work)
    assert device.batches == [[1], [3]]


def test_closing_answers_what_waits_and_refuses_what_comes() -> None:
    device = Device()

    async def work(batcher: Batcher) -> None:
        accepted = [asyncio.create_task(batcher.score(device, image(tag))) for tag in range(5)]
        await entered(device)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="shutting down"):
            await batcher.score(device, image(9))
        device.gate.set()
        await closing
        assert [scored.score for scored in await asyncio.gather(*accepted)] == [0.0, 1.0, 2.0, 3.0, 4.0]

    with_batcher(work, max_batch=2)
