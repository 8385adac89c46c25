"""A drift that is stored and restored goes on to the bit."""

import numpy as np
import pytest
from safetensors.numpy import load, save

from anomaly.calibration import Drift, generator_of

CALIBRATION = np.sort(np.random.default_rng(0).normal(size=200).round(1))  # with equal scores
STREAM = np.random.default_rng(1).normal(size=1500).round(1).tolist()


def a_drift(digest: str = "d") -> Drift:
    return Drift(CALIBRATION, rate=0.01, rng=generator_of(digest))


def fed(drift: Drift, scores: list[float]) -> Drift:
    for i, score in enumerate(scores):
        drift.add(score, (i % 20 + 1) / 20, f"{i // 2 % 300}" if i % 3 else None)
    return drift


def told(drift: Drift) -> tuple[object, ...]:
    return drift.num_scores, drift.log10_martingale, drift.max_log10, drift.alarm_at, drift.trajectory.points


@pytest.mark.parametrize("at", [0, 1, 511, 512, 1030])
def test_it_goes_on_as_if_it_had_never_been_stored(at: int) -> None:
    whole, stored = fed(a_drift(), STREAM[:at]), a_drift()
    stored.restore(whole.to_bytes())
    assert told(stored) == told(whole)
    for drift in (whole, stored):
        fed(drift, [*STREAM[at:], *[9.0] * 40])  # up to the alarm
    assert told(stored) == told(whole)
    assert stored.window.counts == whole.window.counts
    assert stored.to_bytes() == whole.to_bytes()
    assert whole.alarm_at is not None


def test_what_is_no_state_or_one_of_another_calibration_is_refused() -> None:
    with pytest.raises(ValueError, match="no state of a drift"):
        a_drift().restore(b"torn")
    other = Drift(CALIBRATION[:-1], rate=0.01, rng=generator_of("d"))
    with pytest.raises(ValueError, match="of 200 calibration scores, and not of 199"):
        other.restore(a_drift().to_bytes())


def test_random_numbers_are_those_of_the_digest() -> None:
    assert told(fed(a_drift(), STREAM[:50])) == told(fed(a_drift(), STREAM[:50]))
    assert told(fed(a_drift("e"), STREAM[:50])) != told(fed(a_drift(), STREAM[:50]))


def test_a_state_of_before_parts_is_read() -> None:
    whole, restored = fed(a_drift(), STREAM[:50]), a_drift()
    state = load(whole.to_bytes())
    del state["parts"]
    restored.restore(save(state))
    assert told(restored) == told(whole)
