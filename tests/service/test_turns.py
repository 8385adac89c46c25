import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.turns import Turns


class Detector:
    """One turn costs `fixed_s` and `each_s` an image."""

    def __init__(self, fixed_s: float, each_s: float = 0.0) -> None:
        self.fixed_s = fixed_s
        self.each_s = each_s


def turns(
    *, max_batch: int = 8, max_wait_s: float = 0.0, max_turn_s: float = 1e6, grain: int = 1
) -> Turns[Detector, int]:
    return Turns(max_batch=max_batch, max_wait_s=max_wait_s, max_turn_s=max_turn_s, grain=grain)


def put(line: Turns[Detector, int], detector: Detector, jobs: Sequence[int]) -> None:
    for job in jobs:
        line.announce(detector)
        line.put(detector, job)


def take(line: Turns[Detector, int]) -> tuple[Detector, list[int]]:
    turn = line.take()
    assert turn is not None
    return turn


def run_saturated(line: Turns[Detector, int], detectors: Sequence[Detector], seconds: float) -> dict[Detector, float]:
    """Each detector's share of the device, in virtual time, while each has more to do than can be done."""
    used = dict.fromkeys(detectors, 0.0)
    for detector in detectors:
        put(line, detector, range(line.max_batch))
    while sum(used.values()) < seconds:
        detector, jobs = take(line)
        cost = detector.fixed_s + detector.each_s * len(jobs)
        line.charge(detector, len(jobs), cost)
        used[detector] += cost
        put(line, detector, range(len(jobs)))
    return used


@given(st.lists(st.floats(1.0, 50.0), min_size=2, max_size=5))
def test_detectors_that_are_always_asked_for_use_the_device_equally(costs: list[float]) -> None:
    detectors = [Detector(cost) for cost in costs]
    used = run_saturated(turns(max_batch=2), detectors, seconds=400.0)
    assert max(used.values()) - min(used.values()) <= 2 * max(costs)


def test_a_quick_detector_gets_hundreds_of_turns_beside_a_slow_ones_one() -> None:
    line, quick, slow = turns(), Detector(0.005), Detector(2.0)
    put(line, slow, range(100))
    assert take(line) == (slow, list(range(8)))
    line.charge(slow, 8, 2.0)
    for job in range(399):
        put(line, quick, [job])
        assert take(line) == (quick, [job])
        line.charge(quick, 1, 0.005)
    put(line, quick, range(20))
    taken = []
    for _ in range(3):
        taken.append(take(line)[0])
        line.charge(taken[-1], 8, taken[-1].fixed_s)
    assert taken.count(slow) == 1


def test_idleness_earns_no_credit() -> None:
    line, busy, late = turns(), Detector(1.0), Detector(1.0)
    for job in range(100):
        put(line, busy, [job])
        take(line)
        line.charge(busy, 1, 1.0)
    used = run_saturated(line, [busy, late], seconds=20.0)
    assert abs(used[busy] - used[late]) <= 2.0


def test_a_line_is_served_in_order_and_at_most_a_batch_at_a_time() -> None:
    line, detector = turns(max_batch=3), Detector(1.0)
    put(line, detector, range(7))
    assert [take(line)[1] for _ in range(3)] == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize(("waiting", "taken"), [(1, 1), (15, 15), (16, 16), (17, 16), (31, 16), (32, 32), (70, 48)])
def test_more_than_a_grain_is_taken_in_whole_grains(waiting: int, taken: int) -> None:
    line, detector = turns(max_batch=50, grain=16), Detector(1.0)
    put(line, detector, range(waiting))
    assert len(take(line)[1]) == taken


def test_closing_hands_out_what_waits_and_then_ends() -> None:
    line, detector = turns(), Detector(1.0)
    put(line, detector, [1])
    line.close()
    assert take(line) == (detector, [1])
    assert line.take() is None


def test_a_turn_waits_for_what_is_announced_until_it_is_there() -> None:
    line, detector = turns(max_wait_s=3600.0), Detector(1.0)
    put(line, detector, [1])
    assert take(line) == (detector, [1])  # alone: at once
    line.announce(detector)
    put(line, detector, [2])
    later = threading.Timer(0.05, line.put, (detector, 3))
    later.start()
    assert take(line) == (detector, [2, 3])
    line.announce(detector)
    put(line, detector, [4])
    threading.Timer(0.05, line.retract, (detector,)).start()
    assert take(line) == (detector, [4])


def test_a_turn_waits_no_longer_than_it_may() -> None:
    line, detector = turns(max_wait_s=0.05), Detector(1.0)
    line.announce(detector)
    put(line, detector, [1])
    assert take(line) == (detector, [1])


def test_a_turn_waits_for_nothing_while_another_detector_wants_the_device() -> None:
    line, first, second = turns(max_wait_s=3600.0), Detector(1.0), Detector(1.0)
    for detector in (first, second):
        line.announce(detector)
        put(line, detector, [1])
    assert take(line)[1] == [1]


def test_what_turns_take_is_learnt_from_what_they_took() -> None:
    line, detector = turns(max_batch=20, grain=10), Detector(1.0)
    assert line.expected_s(detector, 5) == 0.0
    line.charge(detector, 11, 4.0)
    assert [line.expected_s(detector, number) for number in (0, 1, 10, 11)] == [0.0, 2.0, 2.0, 4.0]
    line.charge(detector, 3, 1.0)
    assert 1.0 < line.expected_s(detector, 1) < 2.0


@pytest.mark.parametrize(("grain_s", "taken"), [(0.1, 64), (1.0, 64), (2.0, 32), (3.9, 16), (9.0, 16)])
def test_a_turn_takes_no_longer_than_it_may_but_at_least_a_grain(grain_s: float, taken: int) -> None:
    line, detector = turns(max_batch=64, max_turn_s=4.0, grain=16), Detector(1.0)
    line.charge(detector, 16, grain_s)
    put(line, detector, range(100))
    assert len(take(line)[1]) == taken


def test_the_line_of_a_detector_that_is_gone_is_forgotten() -> None:
    line = turns()
    line.charge(Detector(1.0), 1, 1.0)
    assert len(line._lines) == 0


def test_taking_blocks_until_there_is_something() -> None:
    line, detector = turns(), Detector(1.0)
    threading.Timer(0.05, put, (line, detector, [1])).start()
    started = time.monotonic()
    assert take(line) == (detector, [1])
    assert time.monotonic() > started
