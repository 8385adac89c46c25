"""What counts decide is what `reject_fdr` decides of all the p-values, to the last bit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anomaly.calibration import PValueCounts, fdr_shortage, reject_fdr


@given(st.data())
def test_the_threshold_flags_what_scipy_flags_over_all_rows(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 60))
    k = data.draw(st.lists(st.lists(st.integers(1, n + 1), max_size=40), min_size=1, max_size=5))
    q = data.draw(st.one_of(st.floats(0.001, 0.999), st.fractions(0, 1).filter(lambda f: 0 < f < 1).map(float)))
    shards = [np.array(shard, dtype=np.float64) / (n + 1) for shard in k]
    counts = PValueCounts(n)
    for shard in shards:
        counts.add(PValueCounts.of(shard, n))
    everything = np.concatenate(shards)
    assert counts.num_images == len(everything)
    expected = reject_fdr(everything, q)
    np.testing.assert_array_equal(everything <= counts.threshold(q), expected)
    assert counts.shortage(q) == fdr_shortage(everything, q, n)


def test_a_million_images_are_decided_as_scipy_decides() -> None:
    n, rng = 999, np.random.default_rng(0)
    p_values = np.concatenate([rng.integers(1, n + 2, 10**6), rng.integers(1, 12, 200_000)]) / (n + 1)
    counts = PValueCounts(n)
    counts.add(PValueCounts.of(p_values, n))
    flagged = p_values <= counts.threshold(0.1)
    assert 0 < flagged.sum() < len(p_values)
    np.testing.assert_array_equal(flagged, reject_fdr(p_values, 0.1))
