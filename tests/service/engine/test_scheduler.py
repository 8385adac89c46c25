import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.scheduler import Scheduler


class Detector:
    """A batch costs `fixed_s` and `each_s` an image."""

    def __init__(self, fixed_s: float, each_s: float = 0.0, grain: int = 1) -> None:
        self.fixed_s = fixed_s
        self.each_s = each_s
        self.grain = grain


def scheduler(*, max_batch: int = 8, max_wait_s: float = 0.0, max_batch_s: float = 1e6) -> Scheduler[Detector, int]:
    return Scheduler(max_batch=max_batch, max_wait_s=max_wait_s, max_batch_s=max_batch_s)


def put(queue: Scheduler[Detector, int], detector: Detector, jobs: Sequence[int]) -> None:
    for job in jobs:
        queue.announce(detector)
        queue.put(detector, job)


def take(queue: Scheduler[Detector, int]) -> tuple[Detector, list[int]]:
    batch = queue.take()
    assert batch is not None
    return batch


def run_saturated(
    queue: Scheduler[Detector, int], detectors: Sequence[Detector], seconds: float
) -> dict[Detector, float]:
    """Each detector's share of the device, in virtual time, while each has more to do than can be done."""
    used = dict.fromkeys(detectors, 0.0)
    for detector in detectors:
        put(queue, detector, range(queue.max_batch))
    while sum(used.values()) < seconds:
        detector, jobs = take(queue)
        cost = detector.fixed_s + detector.each_s * len(jobs)
        queue.charge(detector, len(jobs), cost)
        used[detector] += cost
        put(queue, detector, range(len(jobs)))
    return used


@given(st.lists(st.floats(1.0, 50.0), min_size=2, max_size=5))
def test_detectors_that_are_always_asked_for_use_the_device_equally(costs: list[float]) -> None:
    detectors = [Detector(cost) for cost in costs]
    used = run_saturated(scheduler(max_batch=2), detectors, seconds=400.0)
    assert max(used.values()) - min(used.values()) <= 2 * max(costs)


def test_a_quick_detector_gets_hundreds_of_batches_beside_a_slow_ones_one() -> None:
    queue, quick, slow = scheduler(), Detector(0.005), Detector(2.0)
    put(queue, slow, range(100))
    assert take(queue) == (slow, list(range(8)))
    queue.charge(slow, 8, 2.0)
    for job in range(399):
        put(queue, quick, [job])
        assert take(queue) == (quick, [job])
        queue.charge(quick, 1, 0.005)
    put(queue, quick, range(20))
    taken = []
    for _ in range(3):
        taken.append(take(queue)[0])
        queue.charge(taken[-1], 8, taken[-1].fixed_s)
    assert taken.count(slow) == 1


def test_idleness_earns_no_credit() -> None:
    queue, busy, late = scheduler(), Detector(1.0), Detector(1.0)
    for job in range(100):
        put(queue, busy, [job])
        take(queue)
        queue.charge(busy, 1, 1.0)
    used = run_saturated(queue, [busy, late], seconds=20.0)
    assert abs(used[busy] - used[late]) <= 2.0


def test_a_queue_is_served_in_order_and_at_most_a_batch_at_a_time() -> None:
    queue, detector = scheduler(max_batch=3), Detector(1.0)
    put(queue, detector, range(7))
    assert [take(queue)[1] for _ in range(3)] == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize(("waiting", "taken"), [(1, 1), (15, 15), (16, 16), (17, 16), (31, 16), (32, 32), (70, 48)])
def test_more_than_a_grain_is_taken_in_whole_grains(waiting: int, taken: int) -> None:
    queue, detector = scheduler(max_batch=50), Detector(1.0, grain=16)
    put(queue, detector, range(waiting))
    assert len(take(queue)[1]) == taken


def test_closing_hands_out_what_waits_and_then_ends() -> None:
    queue, detector = scheduler(), Detector(1.0)
    put(queue, detector, [1])
    queue.close()
    assert take(queue) == (detector, [1])
    assert queue.take() is None


def test_a_batch_waits_for_what_is_announced_until_it_is_there() -> None:
    queue, detector = scheduler(max_wait_s=3600.0), Detector(1.0)
    put(queue, detector, [1])
    assert take(queue) == (detector, [1])  # alone: at once
    queue.announce(detector)
    put(queue, detector, [2])
    later = threading.Timer(0.05, queue.put, (detector, 3))
    later.start()
    assert take(queue) == (detector, [2, 3])
    queue.announce(detector)
    put(queue, detector, [4])
    threading.Timer(0.05, queue.retract, (detector,)).start()
    assert take(queue) == (detector, [4])


def test_a_batch_waits_no_longer_than_it_may() -> None:
    queue, detector = scheduler(max_wait_s=0.05), Detector(1.0)
    queue.announce(detector)
    put(queue, detector, [1])
    assert take(queue) == (detector, [1])


def test_a_batch_waits_for_nothing_while_another_detector_wants_the_device() -> None:
    queue, first, second = scheduler(max_wait_s=3600.0), Detector(1.0), Detector(1.0)
    for detector in (first, second):
        queue.announce(detector)
        put(queue, detector, [1])
    assert take(queue)[1] == [1]


def test_what_batches_take_is_estimated_from_what_they_took() -> None:
    queue, detector = scheduler(max_batch=20), Detector(1.0, grain=10)
    assert queue.expected_s(detector, 5) == 0.0
    queue.charge(detector, 11, 4.0)
    assert [queue.expected_s(detector, number) for number in (0, 1, 10, 11)] == [0.0, 2.0, 2.0, 4.0]
    queue.charge(detector, 3, 1.0)
    assert 1.0 < queue.expected_s(detector, 1) < 2.0


@pytest.mark.parametrize(("grain_s", "taken"), [(0.1, 64), (1.0, 64), (2.0, 32), (3.9, 16), (9.0, 16)])
def test_a_batch_takes_no_longer_than_it_may_but_at_least_a_grain(grain_s: float, taken: int) -> None:
    queue, detector = scheduler(max_batch=64, max_batch_s=4.0), Detector(1.0, grain=16)
    queue.charge(detector, 16, grain_s)
    put(queue, detector, range(100))
    assert len(take(queue)[1]) == taken


def test_the_queue_of_a_detector_that_is_gone_is_forgotten() -> None:
    queue = scheduler()
    queue.charge(Detector(1.0), 1, 1.0)
    assert len(queue._queues) == 0


def test_taking_blocks_until_there_is_something() -> None:
    queue, detector = scheduler(), Detector(1.0)
    threading.Timer(0.05, put, (queue, detector, [1])).start()
    started = time.monotonic()
    assert take(queue) == (detector, [1])
    assert time.monotonic() > started


def test_a_batch_has_the_weight_of_so_many_ordinary_jobs_and_a_heavier_job_is_alone() -> None:
    queue, detector = scheduler(max_batch=8), Detector(1.0)
    for job, weight in enumerate([5, 3, 1, 20, 1]):
        queue.announce(detector)
        queue.put(detector, job, weight)
    assert [take(queue)[1] for _ in range(4)] == [[0, 1], [2], [3], [4]]


def test_a_heavy_job_takes_as_long_as_the_ordinary_ones_that_it_counts_for() -> None:
    queue, detector = scheduler(), Detector(1.0)
    queue.announce(detector)
    queue.charge(detector, 10, 20.0)
    assert queue.expected_s(detector, 3) == 6.0


def test_the_least_time_is_told_once_enough_full_batches_were_measured_by_the_fastest_of_them() -> None:
    queue, detector = scheduler(max_batch=20), Detector(1.0, grain=10)
    for seconds in (9.0, 4.0):
        queue.charge(detector, 20, seconds)
        assert queue.least_s(detector, 100) == 0.0
    queue.charge(detector, 20, 7.0)
    assert queue.least_s(detector, 100) == 20.0
    queue.charge(detector, 15, 2.0)  # a full one might have taken no longer
    assert queue.least_s(detector, 100) == 10.0
    queue.charge(detector, 40, 2.0)  # a heavy job, alone
    assert queue.least_s(detector, 100) == 5.0
    assert queue.least_s(Detector(1.0), 100) == 0.0


def test_small_batches_do_not_tell_the_least_time() -> None:
    queue, detector = scheduler(max_batch=20), Detector(1.0, grain=10)
    for weight, seconds in [(10, 0.01), (20, 4.0)] * 3:
        queue.charge(detector, weight, seconds)
    assert queue.least_s(detector, 100) == 20.0


def test_a_batch_is_full_when_it_takes_as_long_as_a_batch_may() -> None:
    queue, detector = scheduler(max_batch=64, max_batch_s=4.0), Detector(1.0, grain=16)
    for _ in range(4):
        queue.charge(detector, 16, 3.0)  # the first may have been a part of 64
    assert queue.least_s(detector, 64) == 12.0


def test_what_is_long_past_does_not_tell_the_least_time(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, detector = scheduler(), Detector(1.0)
    for _ in range(3):
        queue.charge(detector, 8, 4.0)
    assert queue.least_s(detector, 8) == 4.0
    monkeypatch.setattr("service.engine.scheduler.LATELY_S", -1.0)
    assert queue.least_s(detector, 8) == 0.0
