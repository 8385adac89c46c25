import numpy as np

from anomaly.calibration import OnlineRanks
from benchmarks.drift import (
    NUM_STEADY,
    FixedRanks,
    bet,
    blur,
    brighten,
    delay,
    draw_steady,
    first_alarm,
    first_alarm_of_rare,
    line,
    mix,
)


def test_steady_streams_are_quiet_by_ranks_and_not_by_p_values_alone() -> None:
    """With few calibration scores, whose accidents are large."""

    def num_alarms(kind: type[OnlineRanks]) -> int:
        streams = [draw_steady(2000, seed, num_calibration=20) for seed in range(30)]
        ranks = [kind(calibration, np.random.default_rng(seed)) for seed, (calibration, _) in enumerate(streams)]
        return sum(bet(each, stream) is not None for each, (_, stream) in zip(ranks, streams, strict=True))

    assert num_alarms(OnlineRanks) <= 2
    assert num_alarms(FixedRanks) >= 15
    assert first_alarm(OnlineRanks, 100, 0) is None


def test_rare_scores_are_found_after_they_begin() -> None:
    delays = [first_alarm_of_rare(0.2, 500, seed) for seed in range(5)]
    assert all(each is not None and 0 < each < 200 for each in delays)


def test_delays_count_from_the_change() -> None:
    calibration, plain = draw_steady(500, 0)
    rng = np.random.default_rng(0)
    assert bet(OnlineRanks(calibration, rng), plain) is None
    found = delay(calibration, plain, lambda order, rng: np.full(len(order), 99.0))
    assert len(found) == 100
    assert all(each is None or -NUM_STEADY < each <= 5 for each in found)
    assert sum(each is not None and each > 0 for each in found) >= 95


def test_changes() -> None:
    images = np.array([[[0, 250], [100, 0]]], np.uint8)
    assert brighten(images, by=10).tolist() == [[[10, 255], [110, 10]]]
    assert np.ptp(blur(images, sigma=1.0).astype(int)) < np.ptp(images.astype(int))
    order = np.arange(1000)
    mixed = mix(order, np.random.default_rng(0), plain=np.zeros(1000), anomalous=np.ones(3), share=0.3)
    assert 0.25 < mixed.mean() < 0.35


def test_lines() -> None:
    assert line("x", [10, 20, None, -5]) == "| x | 2 of 4, 1 before the change | 15, 19 |"
    assert line("y", [None]) == "| y | 0 of 1 | – |"
