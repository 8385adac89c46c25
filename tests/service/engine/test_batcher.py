import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.data import Picture, PixelsOfImages
from anomaly.errors import UndecodableImageError
from anomaly.inference import Evidence, Explanation
from service.engine.batcher import Batcher, Scored
from service.errors import DeviceMemoryError

BAD = 255


@dataclass(eq=False)
class Device:
    """Scores an image by its first pixel, fails on BAD, has memory for `num_fit` images, and can be held up."""

    grain = 16
    gate: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    batches: list[list[int]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    num_fit: int = 1000
    failure: type[Exception] = MemoryError
    says: str = "DefaultCPUAllocator: can't allocate memory"

    def evidence(self, pixels: PixelsOfImages) -> Evidence:
        pixels = np.asarray(pixels)
        self.entered.set()
        assert self.gate.wait(10)
        self.threads.add(threading.get_ident())
        tags = pixels[:, 0, 0, 0]
        self.batches.append(tags.tolist())
        if len(pixels) > self.num_fit:
            raise self.failure(self.says)
        if BAD in tags:
            raise ValueError("bad image")
        return Evidence(tags.astype(np.float64), {}, tags[:, None].astype(np.float32))

    def examine(self, pixels: PixelsOfImages) -> tuple[Evidence, Explanation]:
        evidence = self.evidence(pixels)
        heatmap = np.broadcast_to(evidence.z_hat[:, :, None], (len(pixels), 2, 2))
        return evidence, Explanation(np.asarray(pixels, np.float32), list(heatmap))


def torch_error() -> type[Exception]:
    """torch's own error of a full GPU, which the batcher knows without importing torch."""
    torch = pytest.importorskip("torch")
    kind: type[Exception] = torch.OutOfMemoryError
    return kind


def opened(device: Device) -> Device:
    device.gate.set()
    return device


def image(tag: int) -> Callable[[], Picture]:
    return lambda: Picture(np.full((1, 2, 2), tag, np.uint8), height=2, width=2, name="tag")


def with_batcher(
    work: Callable[[Batcher], Awaitable[Any]],
    *,
    max_batch: int = 8,
    max_wait_s: float = 0.0,
    threads: int = 1,
    on_failure: Callable[[str], None] = pytest.fail,
) -> list[tuple[Sequence[float], float]]:
    """Do `work` beside a running batcher; returns what it observed of its batches."""
    observed: list[tuple[Sequence[float], float]] = []

    async def scene() -> None:
        batcher = Batcher(
            max_batch=max_batch,
            max_wait_s=max_wait_s,
            max_batch_s=1e6,
            threads=threads,
            observe=lambda scorer, queue_s, inference_s: observed.append((queue_s, inference_s)),
            on_failure=on_failure,
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


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.001)


def num_waiting(batcher: Batcher) -> int:
    return sum(len(queue.jobs) for queue in batcher.scheduler._queues.values())


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
        answers = [batcher.submit(device, image(tag), heatmap=heatmap[i]) for i, tag in enumerate(tags)]
        results = await asyncio.gather(*answers, return_exceptions=True)
        assert ["bad image" if tag == BAD else float(tag) for tag in tags] == [outcome(result) for result in results]
        for i, result in enumerate(results):
            if isinstance(result, Scored):
                assert tags[i] == result.picture.pixels[0, 0, 0]
                assert heatmap[i] == (result.heatmap is not None) == (result.x_hat is not None)
                assert result.x_hat is None or (result.x_hat == tags[i]).all()
                assert result.heatmap is None or (result.heatmap == tags[i]).all()

    observed = with_batcher(work, max_batch=max_batch, threads=3)
    assert max(map(len, device.batches), default=0) <= max_batch
    assert sum(tag != BAD for tag in tags) == sum(len(queue_s) for queue_s, _ in observed)
    assert len(device.threads) <= 1


def test_what_waits_shares_a_batch_and_detectors_do_not() -> None:
    first, second = Device(), opened(Device())

    async def work(batcher: Batcher) -> None:
        running = batcher.submit(first, image(0))
        await entered(first)
        answers = [batcher.submit(device, image(tag)) for tag in range(1, 7) for device in (first, second)]
        await until(lambda: num_waiting(batcher) == 12)
        first.gate.set()
        await asyncio.gather(running, *answers)

    with_batcher(work, max_batch=12)
    assert first.batches == [[0], [1, 2, 3, 4, 5, 6]]
    assert second.batches == [[1, 2, 3, 4, 5, 6]]


def test_an_image_waits_for_another_that_is_being_decoded() -> None:
    device, gate = opened(Device()), threading.Event()

    def slowly() -> Picture:
        assert gate.wait(10)
        return image(2)()

    async def work(batcher: Batcher) -> None:
        slow = batcher.submit(device, slowly)
        quick = batcher.submit(device, image(1))
        await until(lambda: num_waiting(batcher) == 1)
        gate.set()
        await asyncio.gather(slow, quick)

    with_batcher(work, max_wait_s=3600.0, threads=2)
    assert device.batches == [[1, 2]]


def test_what_cannot_be_decoded_is_answered_with_the_reason_and_harms_no_other() -> None:
    device = opened(Device())

    def fail() -> Picture:
        raise UndecodableImageError("no image")

    async def work(batcher: Batcher) -> None:
        broken, good = batcher.submit(device, fail), batcher.submit(device, image(1))
        with pytest.raises(UndecodableImageError):
            await broken
        assert (await good).score == 1.0

    with_batcher(work, max_wait_s=3600.0)


@pytest.mark.parametrize("failure", [torch_error(), RuntimeError, MemoryError])
def test_a_batch_too_large_for_the_device_is_halved_until_it_fits(failure: type[Exception]) -> None:
    device = Device(num_fit=2, failure=failure)

    async def work(batcher: Batcher) -> None:
        running = batcher.submit(device, image(0))
        await entered(device)
        answers = [batcher.submit(device, image(tag)) for tag in range(1, 9)]
        await until(lambda: num_waiting(batcher) == 8)
        device.gate.set()
        assert [scored.score for scored in await asyncio.gather(running, *answers)] == list(range(9))

    observed = with_batcher(work, max_batch=8)
    assert [len(batch) for batch in device.batches] == [1, 8, 4, 2, 2, 4, 2, 2]
    assert [len(queue_s) for queue_s, _ in observed] == [1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError(""),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("bfc_arena.cc:360 Failed to allocate memory for requested buffer of size 98304000"),
        RuntimeError("Exception during initialization: std::bad_alloc"),
    ],
)
def test_an_image_for_which_the_device_has_no_memory_is_told_so_and_the_next_is_scored(failure: Exception) -> None:
    device = opened(Device(num_fit=0, failure=type(failure), says=str(failure)))

    async def work(batcher: Batcher) -> None:
        with pytest.raises(DeviceMemoryError):
            await batcher.submit(device, image(1))
        device.num_fit = 1
        assert (await batcher.submit(device, image(2))).score == 2.0

    with_batcher(work)


def test_a_bad_image_is_found_by_halving() -> None:
    device = Device()

    async def work(batcher: Batcher) -> None:
        running = batcher.submit(device, image(0))
        await entered(device)
        answers = [batcher.submit(device, image(tag)) for tag in (1, 2, 3, BAD)]
        await until(lambda: num_waiting(batcher) == 4)
        device.gate.set()
        results = await asyncio.gather(running, *answers, return_exceptions=True)
        assert [outcome(result) for result in results] == [0.0, 1.0, 2.0, 3.0, "bad image"]

    with_batcher(work)
    assert device.batches == [[0], [1, 2, 3, BAD], [1, 2], [3, BAD], [3], [BAD]]


def test_an_image_whose_answer_is_settled_from_outside_is_never_run() -> None:
    device = Device()

    async def work(batcher: Batcher) -> None:
        running = batcher.submit(device, image(1))
        await entered(device)
        waits = batcher.submit(device, image(2))
        await until(lambda: num_waiting(batcher) == 1)
        early, stays = batcher.submit(device, image(3)), batcher.submit(device, image(4))
        early.cancel()
        waits.set_exception(TimeoutError())
        device.gate.set()
        await asyncio.gather(running, stays)
        assert isinstance(waits.exception(), TimeoutError)

    with_batcher(work, max_wait_s=3600.0)
    assert device.batches == [[1], [4]]


def test_closing_answers_what_waits() -> None:
    device = Device()

    async def work(batcher: Batcher) -> None:
        accepted = [batcher.submit(device, image(tag)) for tag in range(5)]
        await entered(device)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        device.gate.set()
        await closing
        assert [scored.score for scored in await asyncio.gather(*accepted)] == [0.0, 1.0, 2.0, 3.0, 4.0]

    with_batcher(work, max_batch=2)


def test_warming_waits_for_the_batch_that_runs_and_holds_up_the_next() -> None:
    device = Device()

    async def work(batcher: Batcher) -> None:
        running = batcher.submit(device, image(1))
        await entered(device)
        assert not batcher.device.acquire(blocking=False)
        device.gate.set()
        await running
        with batcher.device:
            waits = batcher.submit(device, image(2))
            await asyncio.sleep(0.05)
            assert device.batches == [[1]]
        assert (await waits).score == 2.0

    with_batcher(work)
