"""The guarantee on false alarms: p-values, thresholds and false-discovery control against their definitions."""

import math
import re
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anomaly.calibration import Calibration, check_alpha, check_fdr, fdr_shortage, is_above, num_needed, reject_fdr
from anomaly.calibration.conformal import FloatArray
from anomaly.errors import UsageError

SCORES = st.one_of(st.integers(-4, 4).map(float), st.floats(-1e6, 1e6))  # the integers tie
RATES = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    return Calibration.fit(np.array(draw(st.lists(SCORES, max_size=40)), dtype=np.float64))


@st.composite
def rates_near_a_rank(draw: st.DrawFn, num_calibration: int) -> float:
    """K / (n_cal + 1), where threshold and p-value meet, or the number just beside it."""
    k = draw(st.integers(1, num_calibration + 1))
    rate = k / (num_calibration + 1)
    rate = draw(st.sampled_from([rate, math.nextafter(rate, 0.0), math.nextafter(rate, 1.0)]))
    return min(rate, math.nextafter(1.0, 0.0))


def naive_p_value(calibration: FloatArray, score: float) -> float:
    return (1 + int(sum(c >= score for c in calibration))) / (len(calibration) + 1)


@given(calibrations(), st.lists(SCORES, min_size=1, max_size=20))
def test_p_values_are_those_of_the_definition(calibration: Calibration, scores: list[float]) -> None:
    asked = [*scores, *calibration.scores]
    expected = [naive_p_value(calibration.scores, score) for score in asked]
    assert calibration.p_values(np.array(asked)).tolist() == expected
    assert [calibration.p_value(score) for score in asked] == expected


@given(calibrations(), st.lists(SCORES, min_size=2, max_size=20))
def test_p_values_lie_in_0_to_1_and_fall_as_the_score_rises(calibration: Calibration, scores: list[float]) -> None:
    p = calibration.p_values(np.sort(scores))
    assert (p > 0).all()
    assert (p <= 1).all()
    assert (np.diff(p) <= 0).all()


@given(st.data(), calibrations(), st.lists(SCORES, max_size=10))
def test_a_score_is_above_the_threshold_exactly_where_its_p_value_is_at_most_alpha(
    data: st.DataObject, calibration: Calibration, scores: list[float]
) -> None:
    alpha = data.draw(st.one_of(RATES, rates_near_a_rank(calibration.num_calibration)))
    ties = [math.nextafter(score, side) for score in calibration.scores for side in (-math.inf, score, math.inf)]
    asked = np.array([*scores, *ties, -math.inf, math.inf])
    threshold = calibration.threshold(alpha)
    above = asked > (math.inf if threshold is None else threshold)
    np.testing.assert_array_equal(above, calibration.p_values(asked) <= alpha)


@given(st.data(), calibrations(), st.lists(SCORES, max_size=10))
def test_a_verdict_is_p_value_at_most_alpha(data: st.DataObject, calibration: Calibration, scores: list[float]) -> None:
    alpha = data.draw(st.one_of(RATES, rates_near_a_rank(calibration.num_calibration)))
    ties = [math.nextafter(score, side) for score in calibration.scores for side in (-math.inf, score, math.inf)]
    for score in [*scores, *ties, -math.inf, math.inf]:
        verdict = calibration.judge(score, alpha)
        assert verdict.p_value == naive_p_value(calibration.scores, score)
        assert verdict.threshold == calibration.threshold(alpha)
        if verdict.threshold is None:
            assert verdict.is_anomalous is None
            assert verdict.p_value > alpha
        else:
            assert verdict.is_anomalous is (verdict.p_value <= alpha)


@pytest.mark.parametrize("scores", [(1.0, 2.0, 3.0, 4.0, 5.0), (1.0, 1.0, 2.0, 2.0, 2.0), (7.0,) * 5])
def test_of_all_orders_of_exchangeable_scores_at_most_alpha_are_false_alarms(scores: tuple[float, ...]) -> None:
    """Exactly: the last of n + 1 normals, in every order, is flagged in at most a share alpha of them."""
    orders = list(permutations(scores))
    p = np.array([Calibration.fit(np.array(o[:-1])).p_values(np.array(o[-1:]))[0] for o in orders])
    for alpha in (0.1, 0.2, 0.21, 0.4, 0.6, 0.8, 0.99):
        assert (p <= alpha).mean() <= alpha
    if len(set(scores)) == len(scores):
        assert (p <= 0.4).mean() == pytest.approx(0.4)  # and no fewer, where no two tie


@given(RATES)
def test_the_number_needed_is_the_least_that_has_a_threshold(alpha: float) -> None:
    n = num_needed(alpha)
    if n > 10_000:
        share = (n + 1) * Fraction(alpha)  # 1 or a little more, and less by rounding only
        assert 1 - Fraction(1, 10**15) < share < 1 + Fraction(alpha)
        return
    assert Calibration(np.arange(float(n))).threshold(alpha) is not None
    assert n == 0 or Calibration(np.arange(float(n - 1))).threshold(alpha) is None


@pytest.mark.parametrize(("alpha", "n"), [(0.5, 1), (1 / 3, 2), (0.1, 9), (0.05, 19), (0.01, 99), (0.001, 999)])
def test_the_number_needed_for_common_rates(alpha: float, n: int) -> None:
    assert num_needed(alpha) == n


@pytest.mark.parametrize("alpha", [5e-324, 1e-300, 1e-17])
def test_a_rate_no_one_can_have_is_answered_too(alpha: float) -> None:
    calibration = Calibration(np.arange(19.0))
    assert calibration.threshold(alpha) is None
    assert "no threshold" in (calibration.shortage(alpha) or "")


def test_a_shortage_says_how_many_are_needed_and_how_many_there_are() -> None:
    calibration = Calibration(np.arange(19.0))
    assert calibration.shortage(0.05) is None
    message = calibration.shortage(0.01) or ""
    for part in ("alpha = 0.01", "at least 99 ", "has 19;", "anomaly calibrate"):
        assert part in message


def test_of_one_model_the_share_of_false_alarms_is_what_the_page_says() -> None:
    """Scores are uniform, so that 1 - t of the normals lie above a threshold t: on average alpha, in one model not."""
    page = (Path(__file__).parents[2] / "docs" / "guarantees.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d,]+) \| (.*?) \| (.*?) \| (.*?) \|$", page.partition("**One model.**")[2], re.MULTILINE)
    told = {int(n.replace(",", "")): cells for n, *cells in rows}
    assert {19, 99, 592} <= told.keys()
    rng = np.random.default_rng(0)
    for n in (19, 99, 592):
        sets = np.sort(rng.random((4000, n)))
        for alpha, cell in zip((0.01, 0.05, 0.1), told[n], strict=True):
            thresholds = [Calibration(scores).threshold(alpha) for scores in sets]
            if thresholds[0] is None:
                assert cell == "no threshold"
                continue
            shares = 1 - np.array(thresholds, np.float64)
            assert alpha / 2 < shares.mean() < alpha * 1.05
            assert (shares > alpha).mean() > 0.25
            low, high = map(float, re.findall(r"[\d.]+", cell))
            assert (
                0.94 < ((shares >= (low - 0.05) / 100) & (shares <= (high + 0.05) / 100)).mean() < 0.985
            )  # 0.0 % is rounded


def test_fit_sorts_and_keeps_what_it_was_given() -> None:
    given = np.array([3.0, 1.0, 2.0])
    assert Calibration.fit(given).scores.tolist() == [1.0, 2.0, 3.0]
    assert given.tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1.5, math.nan, math.inf])
def test_a_rate_outside_0_to_1_is_refused(alpha: float) -> None:
    with pytest.raises(UsageError, match=r"between 0 and 1: give 0\.05 for 5 %; got"):
        check_alpha(alpha)


def test_a_rate_is_given_back() -> None:
    assert check_alpha(0.05) == 0.05
    assert type(check_alpha(np.float32(0.05))) is float


@pytest.mark.parametrize("alpha", [0, 1, 5, -1, math.nan, None, "0.05"])
@pytest.mark.parametrize("method", ["judge", "threshold", "shortage"])
def test_what_is_no_rate_is_refused_wherever_it_is_given(method: str, alpha: Any) -> None:
    calibration = Calibration(np.arange(20.0))
    arguments = [1.0] if method == "judge" else []
    with pytest.raises(UsageError, match="alpha is the false-alarm rate"):
        getattr(calibration, method)(*arguments, alpha=alpha)


def test_a_rate_of_numpy_is_a_rate() -> None:
    calibration = Calibration(np.arange(10.0))
    alpha: Any = np.float32(0.25)
    rare: Any = np.float32(0.01)
    assert calibration.judge(9.5, alpha=alpha) == calibration.judge(9.5, alpha=0.25)
    assert calibration.threshold(alpha=alpha) == calibration.threshold(alpha=0.25)
    assert "alpha = 0.01" in (calibration.shortage(rare) or "")


def test_of_nan_nothing_is_said() -> None:
    calibration = Calibration(np.arange(20.0))
    verdict = calibration.judge(math.nan, alpha=0.1)
    assert math.isnan(verdict.p_value)
    assert (verdict.threshold, verdict.is_anomalous) == (calibration.threshold(0.1), None)
    np.testing.assert_array_equal(calibration.p_values(np.array([math.nan, 30.0])), [math.nan, 1 / 21])


@pytest.mark.parametrize("fdr", [0, 1, 5, math.nan, "0.1"])
def test_what_is_no_share_of_false_discoveries_is_refused(fdr: Any) -> None:
    with pytest.raises(UsageError, match="fdr is the share of false alarms"):
        check_fdr(fdr)


def test_a_share_of_false_discoveries_is_given_back() -> None:
    assert check_fdr(None) is None
    assert type(check_fdr(np.float32(0.1))) is float


@st.composite
def ranks_and_rates(draw: st.DrawFn) -> tuple[int, list[int], int]:
    """n_cal, images with the p-values a / (n_cal + 1), and a false-discovery rate in thousandths; ties are common."""
    n = draw(st.sampled_from([1, 9, 19, 29, 99, 299, 999]) | st.integers(1, 400))
    ranks = draw(st.lists(st.integers(1, min(n + 1, 12)) | st.integers(1, n + 1), max_size=40))
    return n, ranks, draw(st.sampled_from([10, 50, 100, 200, 250, 300]) | st.integers(1, 999))


def exact_reject_fdr(p_values: list[Fraction], q: Fraction) -> list[bool]:
    """All p-values up to the largest p_(k) ≤ q·k / m, k its rank; in exact arithmetic."""
    m = len(p_values)
    limits = [p for k, p in enumerate(sorted(p_values), start=1) if p <= q * k / m]
    return [bool(limits) and p <= max(limits) for p in p_values]


@given(ranks_and_rates())
@example((299, [1, 1, 1, *[300] * 6], 10))  # 0.01 · 3/9 is a little less than 1/300 as a float
@example((4, [1, 1, 5], 300))  # 1/5 · 3/2 is a little more than 0.3 as a float
def test_fdr_rejects_what_benjamini_and_hochberg_define_also_at_exact_ties(case: tuple[int, list[int], int]) -> None:
    n, ranks, thousandths = case
    p = np.array([rank / (n + 1) for rank in ranks], dtype=np.float64)
    expected = exact_reject_fdr([Fraction(rank, n + 1) for rank in ranks], Fraction(thousandths, 1000))
    assert reject_fdr(p, thousandths / 1000).tolist() == expected


def test_fdr_tells_apart_what_nearly_ties() -> None:
    """17,570 / 1,000,001 is above 0.05 · 35,199 / 100,168 by 3 parts in 10¹¹."""
    n, k, m = 1_000_000, 35_199, 100_168
    for rank, is_flagged in ((17_570, False), (17_569, True)):
        p = np.array([rank / (n + 1)] * k + [1.0] * (m - k))
        assert reject_fdr(p, 0.05).tolist() == [is_flagged] * k + [False] * (m - k)


def test_fdr_steps_up_over_a_p_value_that_fails_alone() -> None:
    assert reject_fdr(np.array([0.08, 0.5, 0.06, 0.07]), 0.1).tolist() == [False, False, False, False]
    assert reject_fdr(np.array([0.07, 0.5, 0.06, 0.01]), 0.1).tolist() == [True, False, True, True]


@given(st.integers(0, 12), st.integers(1, 12), st.sampled_from([0.01, 0.05, 0.1, 0.25]))
@example(k=3, rest=6, q=0.01)  # 0.01 · 3/9 is a little less than 1/300 as a float
def test_the_shortage_for_a_false_discovery_rate_names_the_least_number_that_flags(k: int, rest: int, q: float) -> None:
    """k images outrank all calibration images, the others none."""

    def p_values(n: int) -> FloatArray:
        return np.array([1 / (n + 1)] * k + [1.0] * rest)

    shortage = fdr_shortage(p_values(3), q, 3)
    if reject_fdr(p_values(3), q).any() or (not k and q >= 1 / 4):
        assert shortage is None
        return
    assert shortage is not None
    needed = int(shortage.partition("at least ")[2].split()[0])
    everything = p_values(needed) if k else np.full(rest, 1 / (needed + 1))
    assert reject_fdr(everything, q).any()
    fewer = p_values(needed - 1) if k else np.full(rest, 1 / needed)
    assert not reject_fdr(fewer, q).any()
    assert fdr_shortage(p_values(needed), q, needed) is None


def test_the_shortage_does_not_promise_that_the_least_number_is_enough() -> None:
    """No image outranks all calibration images, so nothing says how many anomalous ones there are."""
    assert (fdr_shortage(np.full(100, 0.5), 0.05, 10) or "").startswith(
        "none could be flagged at a false-discovery rate of 0.05, even if all 100 images outranked all 10 calibration "
        "images: that needs at least 19 calibration images where this model has 10, and more if only some images are "
        "anomalous; run"
    )
    few = fdr_shortage(np.r_[1 / 11, np.full(99, 0.5)], 0.05, 10) or ""
    assert "1 of 100 images outrank all 10 calibration images, and that needs at least 1999 calibration" in few


def test_no_shortage_where_more_calibration_images_would_not_have_helped() -> None:
    assert fdr_shortage(np.array([0.5, 0.9]), 0.1, 99) is None
    assert fdr_shortage(np.empty(0), 0.1, 3) is None


def test_the_share_of_false_ones_among_the_flagged_is_held() -> None:
    """Conformal p-values of 80 normals and 20 anomalies against fresh calibration sets, on average over 300 draws."""
    rng = np.random.default_rng(0)
    q, shares, found = 0.2, [], []
    for _ in range(300):
        calibration = Calibration.fit(rng.normal(size=400))
        p = calibration.p_values(np.concatenate([rng.normal(size=80), rng.normal(3.5, size=20)]))
        rejected = reject_fdr(p, q)
        shares.append(rejected[:80].sum() / max(rejected.sum(), 1))
        found.append(rejected[80:].mean())
    assert np.mean(shares) <= q
    assert np.mean(shares) > q / 3
    assert np.mean(found) > 0.5


@pytest.mark.parametrize(("threshold", "expected"), [(1.0, [False, False, True, False]), (None, [False] * 4)])
def test_above_is_strictly_above_and_without_a_threshold_nothing_is(
    threshold: float | None, expected: list[bool]
) -> None:
    scores = np.array([0.0, 1.0, 2.0, np.nan])
    assert is_above(scores, threshold).tolist() == expected
    assert [is_above(score, threshold) for score in scores.tolist()] == expected
