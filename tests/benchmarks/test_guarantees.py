import numpy as np
import pytest

from anomaly.calibration import Calibration
from benchmarks.guarantees import mean_share_interval


@pytest.mark.parametrize(("alpha", "n", "m"), [(0.05, 40, 25), (0.1, 99, 100)])
def test_means_of_exchangeable_splits_lie_in_the_interval_99_times_in_100(alpha: float, n: int, m: int) -> None:
    """2,000 means of 200 splits of normal draws."""
    rng = np.random.default_rng(0)
    means = []
    for _ in range(2000):
        drawn = rng.normal(size=(200, n + m))
        threshold = np.sort(drawn[:, :n], axis=1)[:, -int(alpha * (n + 1))]
        means.append((drawn[:, n:] > threshold[:, None]).mean())
    low, high = mean_share_interval(alpha, n, m)
    inside = np.mean([low <= mean <= high for mean in means])
    assert 0.983 < inside < 0.997
    assert Calibration.fit(drawn[0, :n]).threshold(alpha) == threshold[0]
