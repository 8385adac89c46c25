"""Uniform and independent whatever the distribution: exactly, by enumeration and by simulation."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anomaly.calibration.ranks import OnlineRanks, _Counts


def gaps(calibration: list[float], stream: list[float], seed: int = 0) -> list[int]:
    ranks = OnlineRanks(np.sort(np.array(calibration, np.float64)), np.random.default_rng(seed))
    return [ranks.add(score).gap_from_top for score in stream]


def test_every_order_of_distinct_scores_gives_each_gap_its_chance_exactly() -> None:
    """Of 2 + 3 exchangeable scores: the share of the orders in which a sequence of gaps comes is what the urn says."""
    orders = [gaps(list(order[:2]), list(order[2:])) for order in permutations(map(float, range(5)))]
    for sequence in {tuple(order) for order in orders}:
        chance, counts = 1.0, [1, 1, 1]
        for gap in sequence:
            chance *= counts[gap] / sum(counts)
            counts[gap] += 1
        assert orders.count(list(sequence)) / len(orders) == pytest.approx(chance)


def draws(num_streams: int, num_calibration: int, num_scores: int, num_values: int | None) -> np.ndarray:
    """p of exchangeable streams (num_streams, num_scores); of few values, if so many are given, so that most tie."""
    found = []
    for seed in range(num_streams):
        rng = np.random.default_rng(seed)
        size = num_calibration + num_scores
        scores = rng.normal(size=size) if num_values is None else rng.integers(num_values, size=size).astype(float)
        ranks = OnlineRanks(np.sort(scores[:num_calibration]), np.random.default_rng(seed + 10**6))
        found.append([ranks.add(score).p for score in scores[num_calibration:].tolist()])
    return np.array(found)


@pytest.mark.parametrize("num_values", [None, 3, 1])
def test_p_is_uniform_at_each_place_of_the_stream_and_independent_of_the_others(num_values: int | None) -> None:
    p = draws(4000, 4, 5, num_values)
    for place in range(p.shape[1]):
        assert stats.kstest(p[:, place], "uniform").pvalue > 1e-4
    for earlier, later in ((0, 1), (1, 2), (0, 4)):  # dependence would show in the corners of the square
        cells = np.histogram2d(p[:, earlier], p[:, later], bins=4, range=[[0, 1], [0, 1]])[0]
        assert stats.chisquare(cells.ravel()).pvalue > 1e-4


def test_ranks_by_the_calibration_alone_would_not_be_independent() -> None:
    """The same test finds what is wrong with them: it is not blind."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4000, 9))
    above = (scores[:, None, :4] >= scores[:, 4:, None]).sum(axis=2)
    p = (above + rng.random(above.shape)) / 5
    cells = np.histogram2d(p[:, 0], p[:, 4], bins=4, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(cells.ravel()).pvalue < 1e-20


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20), st.integers(0, 2**32))
def test_a_higher_score_is_in_no_lower_gap(scores: list[float], seed: int) -> None:
    calibration = sorted(scores[::2])
    stream = sorted(scores[1::2])
    distinct = [score for score in stream if score not in calibration]
    found = gaps(calibration, distinct, seed)
    assert found == sorted(found, reverse=True)
    assert found == [sum(each > score for each in calibration) for score in distinct]


def test_equal_scores_keep_the_order_that_was_drawn_for_them() -> None:
    """The calibration's ties are broken once: of many equal scores each gap gets its own share, not all the same."""
    counts = np.bincount(gaps([1.0] * 4, [1.0] * 20_000, seed=1), minlength=5) / 20_000
    assert counts.sum() == 1
    assert counts.max() - counts.min() > 0.1  # gaps between four random numbers are not alike


@given(st.lists(st.integers(0, 12), max_size=60), st.integers(0, 13))
def test_sums_of_counts(indexes: list[int], before: int) -> None:
    counts = _Counts(13)
    for index in indexes:
        counts.increment(index)
    assert counts.total == 13 + len(indexes)
    assert counts.before(before) == before + sum(index < before for index in indexes)


def test_no_calibration_at_all_ranks_nothing() -> None:
    ranks = OnlineRanks(np.array([]), np.random.default_rng(0))
    assert [ranks.add(score).gap_from_top for score in (1.0, -5.0)] == [0, 0]
    assert ranks.total == 3
