import math
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.calibration import Drift, Martingale, OnlineRanks
from anomaly.calibration.drift import JUMP_RATE, NUM_PARTS, RESERVE, Trajectory, Window, spread_below

NUM_CALIBRATION = 400


def watched(scores: list[float], *, seed: int = 0, rate: float = 0.01) -> Drift:
    """A watch that has seen these, after a calibration of normal draws."""
    calibration = np.sort(np.random.default_rng(seed).normal(size=NUM_CALIBRATION))
    drift = Drift(calibration, rate=rate, rng=np.random.default_rng(seed))
    for score in scores:
        drift.add(score, 0.5)
    return drift


def normal(size: int, seed: int) -> list[float]:
    draws: list[float] = np.random.default_rng(seed + 10**6).normal(size=size).tolist()
    return draws


def test_the_bets_are_fair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all that the next rank can be, M is worth what it was: after any stream, exactly."""
    calibration = np.arange(20.0)
    for stream in ([], [3.5], [25.0, 26.0, 3.5, -1.0], [30.0] * 50):
        expected = 0.0
        for gap in range(21):
            ranks = OnlineRanks(calibration, np.random.default_rng(0))
            martingale = Martingale(ranks)
            for score in stream:
                martingale.add(score)
            before, counts = martingale.log10, ranks.num_above(gap + 1) - ranks.num_above(gap)
            chance = counts / ranks.total
            monkeypatch.setattr(
                ranks, "_rng", SimpleNamespace(random=lambda: 0.5)
            )  # M is linear in U: this is its mean
            martingale.add(19.5 - gap)
            expected += chance * 10 ** (martingale.log10 - before)
        assert expected == pytest.approx(1.0, abs=1e-12)


def test_steady_streams_seldom_set_it_off_and_evidence_is_bounded_as_ville_says() -> None:
    highest = np.array([watched(normal(400, seed), seed=seed).max_log10 for seed in range(300)])
    for log10 in (0.5, 1.0, 1.5):
        expected = (1 - RESERVE) / (10**log10 - RESERVE)  # of the half that is staked
        assert (highest >= log10).mean() <= expected + 3 * math.sqrt(expected / len(highest))


@pytest.mark.parametrize(
    ("change", "at_most"),
    [(lambda x: x + 1.0, 150), (lambda x: x - 1.0, 300), (lambda x: 50.0, 6), (lambda x: -50.0, 60)],
    ids=["up", "down", "beyond", "below"],
)
@pytest.mark.parametrize("num_steady", [0, 5000])
def test_a_change_is_found_soon_also_after_a_long_quiet(
    change: Callable[[float], float], at_most: int, num_steady: int
) -> None:
    drift = watched(normal(num_steady, 1), seed=1)
    sounded = [drift.add(change(score), 0.5) for score in normal(1000, 2)]
    assert any(sounded)
    assert num_steady < (drift.alarm_at or 0) <= num_steady + at_most * (2 if num_steady else 1)


def test_one_in_twenty_that_is_far_out_is_found() -> None:
    scores = [40.0 if i % 20 == 19 else score for i, score in enumerate(normal(2000, 3))]
    alarm_at = watched(scores, seed=3).alarm_at
    assert alarm_at is not None
    assert alarm_at <= 400


def test_quiet_costs_little() -> None:
    drift = watched(normal(3000, 4), seed=4)
    assert 10**drift.log10_martingale > RESERVE + (1 - RESERVE) / (1 + math.log10(3001))


def test_half_of_the_capital_is_never_staked() -> None:
    """The worst that can happen to a gambler: scores that come where none of the bets pays."""
    drift = Drift(np.arange(100.0), rate=0.01, rng=np.random.default_rng(0))
    for _ in range(50):
        for score in (-1.0, 97.5):
            drift.add(score, 0.5)
            assert 10**drift.log10_martingale > RESERVE


def test_an_alarm_sounds_once_and_stays() -> None:
    drift = Drift(np.arange(100.0), rate=0.1, rng=np.random.default_rng(0))
    sounded = [drift.add(1000.0, 0.01) for _ in range(5)]
    assert sum(sounded) == 1
    assert drift.alarm_at == sounded.index(True) + 1
    for score in range(100):
        drift.add(float(score), 0.5)
    assert drift.alarm_at == sounded.index(True) + 1
    assert drift.max_log10 >= 1.0


@pytest.mark.parametrize("rate", [0.5, 0.01, 1e-6])
def test_the_alarm_is_at_one_over_the_rate(rate: float) -> None:
    drift = Drift(np.arange(100.0), rate=rate, rng=np.random.default_rng(0))
    while not drift.add(1000.0, 0.01):
        assert 10**drift.log10_martingale < 1 / rate
    assert 10**drift.log10_martingale >= 1 / rate * (1 - 1e-12)


def test_evidence_beyond_a_floats_range_is_still_a_number() -> None:
    drift = Drift(np.arange(50_000.0), rate=0.01, rng=np.random.default_rng(0))
    for _ in range(500):
        drift.add(1e9, 0.0)
    assert drift.log10_martingale > 320
    assert math.isfinite(drift.log10_martingale)
    assert JUMP_RATE > 0


@given(st.integers(0, 3000))
def test_a_trajectory_is_thinned_evenly_and_ends_at_the_last_point(num: int) -> None:
    trajectory = Trajectory(max_points=64)
    for n in range(1, num + 1):
        trajectory.add(n, float(n))
    points = trajectory.points
    assert len(points) <= 66
    assert (points[0], points[-1]) == ((0, 0.0), (num, float(num)))
    steps = {later - earlier for (earlier, _), (later, _) in pairwise(points[:-1])}
    assert len(steps) <= 1
    assert len(points) > min(num, 32)


def test_a_window_counts_the_last_p_values_only() -> None:
    window = Window(size=3, num_bins=4)
    for p in (1.0, 0.25, 0.26, 0.0):
        window.add(p)
    assert (len(window), window.counts) == (3, [2, 1, 0, 0])


@pytest.mark.parametrize("num_calibration", [19, 31, 99, 592])
def test_the_window_of_a_steady_process_is_flat(num_calibration: int) -> None:
    calibration = np.sort(np.random.default_rng(0).normal(size=num_calibration))
    drift = Drift(calibration, rate=0.01, rng=np.random.default_rng(0))
    ranks = np.tile(np.arange(1, num_calibration + 2), 1000 // (num_calibration + 1))
    p_values = ranks / (num_calibration + 1)  # each equally often
    for p_value in np.random.default_rng(1).permutation(p_values).tolist():
        drift.add(0.0, p_value)
    mean = len(ranks) / len(drift.window.counts)
    assert sum(drift.window.counts) == len(ranks)
    assert min(drift.window.counts) >= 0.8 * mean
    assert max(drift.window.counts) <= 1.2 * mean


def test_pictures_of_one_part_do_not_set_off_the_alarm() -> None:
    """Ten pictures of each part, alike: nearly every such stream did."""
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        drift = Drift(np.sort(rng.normal(size=99)), rate=0.01, rng=np.random.default_rng([seed, 1]))
        for number, part in enumerate(rng.normal(size=200).tolist()):
            for _ in range(10):
                drift.add(math.sqrt(0.8) * part + math.sqrt(0.2) * rng.normal(), 0.5, f"part {number}")
        alarms += drift.alarm_at is not None
        assert drift.num_scores == 200
    assert alarms <= 1


def test_a_part_that_comes_again_much_later_is_a_new_one() -> None:
    drift = watched([])
    for part in ["a", "b", "a", None, None, *map(str, range(NUM_PARTS)), "a"]:
        drift.add(0.0, 0.5, part)
    assert drift.num_scores == 2 + 2 + NUM_PARTS + 1


@pytest.mark.parametrize("num_calibration", [9, 20, 99])
def test_equal_p_values_are_spread_evenly_below_each(num_calibration: int) -> None:
    step = 1 / (num_calibration + 1)
    p_values = np.random.default_rng(0).integers(1, num_calibration + 2, 20_000) / (num_calibration + 1)
    spread = spread_below(p_values, step, np.arange(20_000.0))
    assert (np.abs(p_values - step / 2 - spread) <= step / 2 + 1e-12).all()
    counts = np.histogram(spread, np.linspace(0, 1, 41))[0]
    assert counts.min() > 0.7 * 500
    assert counts.max() < 1.3 * 500
