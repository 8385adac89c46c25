"""Threads of the batcher that die: whoever waits is told at once, and the reason is kept."""

import asyncio
from collections.abc import Sequence

import pytest

from anomaly.data import Picture, PixelsOfImages
from anomaly.inference import Evidence
from service.engine.batcher import Batcher
from service.errors import EngineFailedError
from tests.service.engine.test_batcher import Device, entered, image, num_waiting, opened, until, with_batcher


@pytest.mark.parametrize("fatal", [SystemExit("gone"), KeyboardInterrupt()])
def test_a_worker_that_dies_fails_what_waits_and_what_comes_at_once(
    fatal: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    device, reasons = Device(), list[str]()

    def evidence(pixels: PixelsOfImages) -> Evidence:
        device.entered.set()
        assert device.gate.wait(10)
        raise fatal

    device.evidence = evidence  # type: ignore[method-assign]

    async def work(batcher: Batcher) -> None:
        runs = batcher.submit(device, image(1))
        await entered(device)
        waits = [batcher.submit(device, image(tag)) for tag in (2, 3)]
        await until(lambda: num_waiting(batcher) == 2)
        batcher.check()
        device.gate.set()
        outcomes = await asyncio.wait_for(asyncio.gather(runs, *waits, return_exceptions=True), 10)
        assert [type(outcome) for outcome in outcomes] == [EngineFailedError] * 3
        with pytest.raises(EngineFailedError):
            batcher.submit(device, image(4))
        with pytest.raises(EngineFailedError):
            batcher.check()
        assert reasons == [batcher.failure]

    with_batcher(work, max_batch=1, on_failure=reasons.append)
    (reason,) = reasons
    assert "'batcher'" in reason
    assert f"{type(fatal).__name__}: {fatal}" in reason
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]


def test_a_decoder_that_dies_fails_what_waits_too() -> None:
    device, reasons = Device(), list[str]()

    def die() -> Picture:
        raise SystemExit("gone")

    async def work(batcher: Batcher) -> None:
        runs = batcher.submit(device, image(1))
        await entered(device)
        dies = batcher.submit(device, die)
        outcomes = await asyncio.wait_for(asyncio.gather(runs, dies, return_exceptions=True), 10)
        assert [type(outcome) for outcome in outcomes] == [EngineFailedError] * 2
        device.gate.set()

    with_batcher(work, on_failure=reasons.append)
    assert "'decoder 1'" in reasons[0]


def test_an_observer_that_fails_is_no_silent_end() -> None:
    reasons: list[str] = []

    async def scene() -> None:
        def observe(scorer: object, queue_s: Sequence[float], inference_s: float) -> None:
            raise ValueError("no such series")

        batcher = Batcher(
            max_batch=1, max_wait_s=0.0, max_batch_s=1.0, threads=1, observe=observe, on_failure=reasons.append
        )
        batcher.start()
        with pytest.raises(EngineFailedError):
            await asyncio.wait_for(batcher.submit(opened(Device()), image(1)), 10)
        await batcher.close()

    asyncio.run(scene())
    assert "ValueError: no such series" in reasons[0]


def test_what_is_drawn_is_told_of_a_thread_that_dies() -> None:
    async def work(batcher: Batcher) -> None:
        def die() -> None:
            raise SystemExit("gone")

        with pytest.raises(EngineFailedError):
            await asyncio.wait_for(batcher.in_decoder(die), 10)
        with pytest.raises(EngineFailedError):
            await batcher.in_decoder(die)

    with_batcher(work, on_failure=lambda reason: None)
