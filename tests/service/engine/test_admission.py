import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from anomaly.inference.torch_engine import BATCH_GRAIN
from service.engine.admission import Admission, Reservation
from service.engine.batcher import Batcher
from service.errors import OverloadedError, ShuttingDownError, UploadTooLargeError, describe
from tests.service.engine.test_batcher import Device

DEADLINE_S = 10.0


def with_admission(
    work: Callable[[Admission, Batcher], object], *, max_images: int = 100, max_bytes: int = 1000
) -> None:
    async def scene() -> None:
        batcher = Batcher(
            max_batch=64,
            max_wait_s=0.0,
            max_batch_s=1e6,
            threads=1,
            observe=lambda scorer, queue_s, inference_s: None,
            on_failure=lambda reason: None,
        )
        work(Admission(batcher, max_images=max_images, max_bytes=max_bytes, deadline_s=DEADLINE_S), batcher)

    asyncio.run(scene())


@contextmanager
def admitted(admission: Admission, device: Device | None, num_images: int) -> Iterator[Reservation]:
    """A request of so many images, which grows as its body is read."""
    with admission.admit(device) as reservation:
        reservation.grow(num_images=num_images - 1)
        yield reservation


def test_a_full_server_refuses_and_accepts_again_afterwards() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        device = Device()
        with admitted(admission, device, 3):
            with pytest.raises(OverloadedError, match="4 images"), admitted(admission, device, 2):
                pass
            with admission.admit(device):
                assert admission.num_images == 4
        assert admission.num_images == 0
        with admitted(admission, device, 4):
            pass

    with_admission(work, max_images=4)


def test_bytes_are_bounded_too() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        with admission.admit(Device(), num_bytes=700) as reservation:
            with pytest.raises(OverloadedError, match="700 bytes"), admission.admit(Device(), num_bytes=301):
                pass
            with admission.admit(Device(), num_bytes=300), pytest.raises(OverloadedError, match="1000 bytes"):
                reservation.grow(num_bytes=1)
            with pytest.raises(UploadTooLargeError, match=r"of 1,001 bytes, .* the server has room for 1,000"):
                reservation.grow(num_bytes=301)
            reservation.grow(num_bytes=300)
        assert admission.num_bytes == 0

    with_admission(work)


def test_a_request_that_grows_too_large_releases_all_that_it_reserved() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        device = Device()
        with pytest.raises(UploadTooLargeError), admission.admit(device, num_bytes=10) as reservation:  # noqa: PT012
            reservation.grow(num_images=50, num_bytes=20)
            reservation.grow(num_images=50)
        with admitted(admission, Device(), 50):
            with pytest.raises(OverloadedError), admission.admit(device, num_bytes=10) as reservation:
                reservation.grow(num_images=50, num_bytes=20)
            assert (admission.num_images, admission.num_bytes) == (50, 0)
        assert (admission.num_images, admission.num_bytes) == (0, 0)
        assert admission.expected_wait_s(device) == 0.0

    with_admission(work)


def test_who_would_wait_for_more_than_half_the_deadline_is_told_at_once_and_when_to_come_back() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        device = Device()
        batcher.scheduler.charge(device, BATCH_GRAIN, 2.0)
        with admitted(admission, device, 2 * BATCH_GRAIN), admission.admit(device):
            with pytest.raises(OverloadedError, match=r"6\.0 s") as refused, admission.admit(device):
                pass
            assert describe(refused.value).headers == {"Retry-After": "6"}
        with admitted(admission, device, 2 * BATCH_GRAIN), admission.admit(device):
            pass

    with_admission(work)


def test_a_slow_model_that_nobody_asks_for_is_still_answered() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        device = Device()
        batcher.scheduler.charge(device, 1, 60.0)
        with admission.admit(device):
            pass

    with_admission(work)


def test_a_slow_models_queue_delays_no_quick_model() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        slow, quick = Device(), Device()
        batcher.scheduler.charge(slow, BATCH_GRAIN, 4.0)
        batcher.scheduler.charge(quick, BATCH_GRAIN, 0.01)
        with admitted(admission, slow, 2 * BATCH_GRAIN), admitted(admission, quick, 10):
            assert math.isclose(admission.expected_wait_s(slow), 8.01)
            assert math.isclose(admission.expected_wait_s(quick), 0.02)
            with admission.admit(quick):
                pass
            with pytest.raises(OverloadedError), admission.admit(slow):
                pass

    with_admission(work)


def test_a_closed_server_accepts_nothing_and_keeps_what_it_accepted() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        with admission.admit(Device()) as reservation:
            admission.close()
            reservation.grow(num_images=3, num_bytes=5)
            with pytest.raises(ShuttingDownError), admission.admit(Device()):
                pass
            assert admission.num_images == 4

    with_admission(work)


def test_the_server_is_full_only_when_it_is_so_for_every_detector() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        slow, quick = Device(), Device()
        batcher.scheduler.charge(slow, BATCH_GRAIN, 2.0)
        assert admission.full_for([slow]) is None
        with admitted(admission, slow, 3 * BATCH_GRAIN):
            assert "6.0 s" in str(admission.full_for([slow]))
            assert admission.full_for([slow, quick]) is None
            assert admission.full_for([]) is None
        assert admission.full_for([slow]) is None
        with admitted(admission, quick, 100):
            assert "100 images" in str(admission.full_for([slow, quick]))

    with_admission(work)


def test_a_request_whose_body_tells_its_detector_counts_from_its_head_on() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        device = Device()
        with admission.admit(None, num_bytes=600) as reservation:
            assert (admission.num_images, admission.num_bytes, admission.expected_wait_s(device)) == (1, 600, 0.0)
            with pytest.raises(OverloadedError, match="600 bytes"), admission.admit(None, num_bytes=401):
                pass
            batcher.scheduler.charge(device, BATCH_GRAIN, 2.0)
            reservation.assign(device, num_bytes=100)
            assert (admission.num_images, admission.num_bytes, admission.expected_wait_s(device)) == (1, 700, 2.0)
        assert (admission.num_images, admission.num_bytes, admission.expected_wait_s(device)) == (0, 0, 0.0)

    with_admission(work)


def test_it_is_refused_when_its_body_tells_a_detector_that_is_too_late() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        slow = Device()
        batcher.scheduler.charge(slow, BATCH_GRAIN, 6.0)
        with (
            admission.admit(slow),
            admission.admit(None) as reservation,
            pytest.raises(OverloadedError, match=r"6\.0 s"),
        ):
            reservation.assign(slow, num_bytes=0)
        assert admission.num_images == 0

    with_admission(work)


def test_a_request_that_is_sure_to_take_far_longer_than_its_deadline_is_told_what_to_do() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        device = Device()
        with admitted(admission, device, 41) as reservation:
            for _ in range(3):
                reservation.check_in_time()
                batcher.scheduler.charge(device, 64, 32.0)
            with pytest.raises(UploadTooLargeError, match=r"least 20 s, .* 10 s\. Send fewer .*ANOMALY_DEADLINE_S"):
                reservation.check_in_time()
        with admitted(admission, device, 40) as reservation:
            reservation.check_in_time()
        with admitted(admission, None, 41) as reservation:
            reservation.check_in_time()

    with_admission(work)


def test_a_requests_own_images_are_none_that_it_waits_for() -> None:
    def work(admission: Admission, batcher: Batcher) -> None:
        device = Device()
        batcher.scheduler.charge(device, BATCH_GRAIN, 6.0)
        with admission.admit(device) as reservation:
            reservation.grow(num_images=BATCH_GRAIN - 1)
            assert admission.expected_wait_s(device) == 6.0
            with pytest.raises(OverloadedError, match=r"6\.0 s"), admission.admit(device):
                pass
        with admission.admit(Device()), admission.admit(None) as reservation:
            reservation.assign(device, num_bytes=0)
            reservation.grow(num_images=1)

    with_admission(work)
