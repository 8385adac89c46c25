from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import ndtr, ndtri

from anomaly.errors import DataError
from anomaly.evaluation.intervals import Labels
from anomaly.evaluation.metrics import (
    ScoreArray,
    auroc,
    auroc_by_kind,
    image_metrics,
    interval_by_kind,
    lead_over,
    rates_at,
)


@st.composite
def splits(draw: st.DrawFn) -> tuple[ScoreArray, Labels]:
    """A test split with both sorts of images and, scores being small integers, with many ties."""
    labels = [False, True, *draw(st.lists(st.booleans(), max_size=30))]
    scores = draw(hnp.arrays(np.float64, len(labels), elements=st.integers(-8, 8).map(float)))
    return scores, np.array(labels)


def naive_auroc(scores: ScoreArray, labels: Labels) -> float:
    pairs = list(product(scores[labels], scores[~labels]))
    return sum(1.0 if a > n else 0.5 if a == n else 0.0 for a, n in pairs) / len(pairs)


def naive_average_precision(scores: ScoreArray, labels: Labels) -> float:
    total, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        flagged = scores >= threshold
        recall = labels[flagged].sum() / labels.sum()
        total += (recall - recall_before) * labels[flagged].mean()
        recall_before = recall
    return total


def naive_fpr_at_95_tpr(scores: ScoreArray, labels: Labels) -> float:
    rates = [((scores[~labels] >= t).mean(), (scores[labels] >= t).mean()) for t in scores]
    return float(min(fpr for fpr, tpr in rates if tpr >= 0.95))


@given(splits())
def test_measures_agree_with_their_definitions(split: tuple[ScoreArray, Labels]) -> None:
    scores, labels = split
    metrics = image_metrics(scores, labels)
    assert metrics.auroc == auroc(scores, labels) == pytest.approx(naive_auroc(scores, labels))
    assert metrics.average_precision == pytest.approx(naive_average_precision(scores, labels))
    assert metrics.fpr_at_95_tpr == pytest.approx(naive_fpr_at_95_tpr(scores, labels))
    assert (metrics.num_normal, metrics.num_anomalous) == ((~labels).sum(), labels.sum())


def test_nineteen_of_twenty_are_95_percent() -> None:
    scores, labels = np.array([0.0, *[2.0] * 19, 1.0, 3.0]), np.array([True] * 20 + [False, False])
    assert image_metrics(scores, labels).fpr_at_95_tpr == 0.5


@given(splits())
def test_only_the_order_of_scores_matters(split: tuple[ScoreArray, Labels]) -> None:
    scores, labels = split
    transformed = np.exp(scores) * 3 - 7
    assert image_metrics(transformed, labels) == image_metrics(scores, labels)


@given(splits())
def test_turning_scores_round_turns_auroc_round(split: tuple[ScoreArray, Labels]) -> None:
    scores, labels = split
    assert auroc(-scores, labels) == pytest.approx(1 - auroc(scores, labels))


@given(splits(), st.integers(0, 2**32 - 1))
def test_the_order_of_images_does_not_matter(split: tuple[ScoreArray, Labels], seed: int) -> None:
    scores, labels = split
    order = np.random.default_rng(seed).permutation(len(scores))
    assert image_metrics(scores[order], labels[order]) == image_metrics(scores, labels)


@given(splits())
@settings(max_examples=50)
def test_interval_contains_the_estimate(split: tuple[ScoreArray, Labels]) -> None:
    metrics = image_metrics(*split)
    low, high = metrics.auroc_ci95
    assert 0 <= low <= metrics.auroc <= high <= 1


def test_interval_agrees_with_a_plain_bootstrap() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(160) >= 60
    scores = rng.normal(size=160).round(1) + labels
    normal, anomalous = scores[~labels], scores[labels]
    redrawn = [auroc(np.concatenate([rng.choice(normal, 60), rng.choice(anomalous, 100)]), labels) for _ in range(4000)]
    expected = tuple(np.quantile(redrawn, [0.025, 0.975]))
    assert expected == pytest.approx(image_metrics(scores, labels).auroc_ci95, abs=0.01)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Normals N(0, 1) against anomalies N(1, 1): the true AUROC is Φ(1 / √2)."""
    labels = np.arange(100) >= 50
    covered = 0
    for seed in range(100):
        scores = np.random.default_rng(seed).normal(size=100) + labels
        low, high = image_metrics(scores, labels).auroc_ci95
        covered += low <= 0.76025 <= high
    assert 0.88 <= covered / 100 <= 0.99


@pytest.mark.parametrize(("num_normal", "num_anomalous", "low"), [(2, 6, 0.158), (20, 20, 0.832), (63, 20, 0.832)])
def test_a_perfect_ranking_of_few_images_has_the_exact_interval(
    num_normal: int, num_anomalous: int, low: float
) -> None:
    """All of the smaller class ranked rightly: 0.025^(1/n) by Clopper and Pearson."""
    scores = np.arange(num_normal + num_anomalous, dtype=float)
    labels = scores >= num_normal
    assert list(image_metrics(scores, labels).auroc_ci95) == pytest.approx([low, 1], abs=5e-4)
    assert list(image_metrics(-scores, labels).auroc_ci95) == pytest.approx([0, 1 - low], abs=5e-4)


def test_scores_that_are_all_equal_tell_little_too() -> None:
    low, high = image_metrics(np.zeros(10), np.arange(10) >= 5).auroc_ci95
    assert low == pytest.approx(1 - high)
    assert low < 0.1


def test_one_pair_ranked_wrongly_does_not_make_the_interval_much_narrower() -> None:
    scores, labels = np.arange(40, dtype=float), np.arange(40) >= 20
    perfect = image_metrics(scores, labels).auroc_ci95
    scores[[19, 20]] = scores[[20, 19]]
    low, high = image_metrics(scores, labels).auroc_ci95
    assert high - low > 0.4 * (perfect[1] - perfect[0])
    assert high > 0.999


def test_a_perfect_ranking_counts_parts_where_they_are_known() -> None:
    scores, labels = np.arange(40, dtype=float), np.arange(40) >= 20
    parts = [*["a"] * 10, *["b"] * 10, *[""] * 20]
    assert image_metrics(scores, labels, parts=parts).auroc_ci95[0] == pytest.approx(0.025**0.5)


@pytest.mark.parametrize("distance", [2, 3, 4])
def test_the_interval_of_a_nearly_perfect_ranking_covers_the_truth(distance: float) -> None:
    """Ten N(0, 1) against ten N(distance, 1)."""
    labels = np.arange(20) >= 10
    truth = float(ndtr(distance / 2**0.5))
    covered = 0
    for seed in range(100):
        scores = np.random.default_rng(seed).normal(size=20) + distance * labels
        low, high = image_metrics(scores, labels).auroc_ci95
        covered += low <= truth <= high
    assert covered >= 95


def test_ten_pictures_of_each_part_tell_as_much_as_one() -> None:
    """Ten alike of each of twelve parts: the interval is that of twelve normals, not of 120."""
    rng = np.random.default_rng(5)
    normal, anomalous = np.sort(rng.normal(size=12)), rng.normal(size=40) + 1
    scores = np.concatenate([np.repeat(normal, 10), anomalous])
    labels = np.arange(160) >= 120
    parts = [f"part {row // 10:02}" if row < 120 else "" for row in range(160)]
    order = rng.permutation(160)
    found = image_metrics(scores[order], labels[order], parts=[parts[row] for row in order]).auroc_ci95
    alone = image_metrics(np.concatenate([normal, anomalous]), np.arange(52) >= 12).auroc_ci95
    assert found == pytest.approx(alone, abs=0.01)
    low, high = image_metrics(scores, labels).auroc_ci95
    assert high - low < 0.75 * (found[1] - found[0])


def test_parts_of_unlike_numbers_of_pictures_agree_with_a_plain_cluster_bootstrap() -> None:
    rng = np.random.default_rng(6)
    shown = np.repeat(np.arange(15), rng.integers(1, 9, 15))
    normal = (rng.normal(size=15)[shown] + 0.3 * rng.normal(size=len(shown))).round(1)
    anomalous = rng.normal(1, 1, 50).round(1)
    labels = np.arange(len(shown) + 50) >= len(shown)
    redrawn = []
    for _ in range(4000):
        drawn = np.concatenate([normal[shown == part] for part in rng.integers(0, 15, 15)])
        scores = np.concatenate([drawn, rng.choice(anomalous, 50)])
        redrawn.append(auroc(scores, np.arange(len(scores)) >= len(drawn)))
    found = image_metrics(np.concatenate([normal, anomalous]), labels, parts=[*map(str, shown), *[""] * 50])
    low, high = np.quantile(redrawn, [0.025, 0.975])
    assert found.auroc_ci95 == pytest.approx((low, high), abs=0.03)
    assert found.auroc_ci95[0] < low  # of fifteen parts the bootstrap knows too little of how others differ


@pytest.mark.parametrize(("num_large", "pictures"), [(1, 100), (2, 20)])
def test_a_few_parts_with_most_of_the_pictures_do_not_make_the_interval_too_narrow(
    num_large: int, pictures: int
) -> None:
    """20 parts of either class, of which some have nearly all pictures: counted as one each, 48 and 84 % held it."""
    sizes = np.tile(np.r_[np.full(num_large, pictures), np.ones(20 - num_large, int)], 2)
    shown = np.repeat(np.arange(40), sizes)
    labels = shown >= 20
    parts = [str(part) for part in shown]
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scores = 0.8**0.5 * rng.normal(size=40)[shown] + 0.2**0.5 * rng.normal(size=len(shown))
        low, high = image_metrics(scores + 2**0.5 * ndtri(0.8) * labels, labels, parts=parts).auroc_ci95
        held += low <= 0.8 <= high
    assert held >= 186


def test_a_perfect_ranking_of_parts_is_as_sure_whatever_their_numbers_of_pictures() -> None:
    """All of 20 parts ranked rightly: each pair of other parts is, whether or not they have more pictures."""
    shown = np.repeat(np.arange(40), np.tile(np.r_[100, np.ones(19, int)], 2))
    found = image_metrics(shown.astype(float), shown >= 20, parts=[str(part) for part in shown]).auroc_ci95
    assert found == pytest.approx((0.025 ** (1 / 20), 1))


def test_each_kind_stands_against_all_normals() -> None:
    scores = np.array([1.0, 2.0, 3.0, 0.0, 9.0])
    labels = np.array([False, False, True, True, True])
    actual = auroc_by_kind(scores, labels, ["good", "scratch", "scratch", "dent", "dent"])
    assert actual == {"dent": 0.5, "scratch": 1.0}
    assert list(actual) == ["dent", "scratch"]


def test_the_interval_of_a_kind_is_that_of_its_images_and_all_normals() -> None:
    """A normal that is called by the name of a kind is a normal; parts count as in the interval of all."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) >= 40
    scores = rng.normal(size=60) + labels
    kinds = ["dent"] * 40 + ["dent", "scratch"] * 10
    parts = [str(row // 2) for row in range(40)] + [""] * 20
    dents = ~labels | (np.arange(60) % 2 == 0)
    own = [part for part, is_own in zip(parts, dents, strict=True) if is_own]
    for shown, alone in ((None, None), (parts, own)):
        found = interval_by_kind(scores, labels, kinds, shown)
        assert list(found) == ["dent", "scratch"]
        assert found["dent"] == image_metrics(scores[dents], labels[dents], parts=alone).auroc_ci95
        assert found["scratch"] != found["dent"]
    assert interval_by_kind(scores, labels, kinds) != interval_by_kind(scores, labels, kinds, parts)


def test_verdict_is_strictly_above_the_threshold() -> None:
    scores, labels = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])
    assert rates_at(scores, labels, 2.0) == (0.0, 0.5)
    assert rates_at(scores, labels, 1.5) == (0.5, 1.0)


def test_rates_that_do_not_exist_are_none() -> None:
    scores = np.array([1.0, 2.0])
    assert rates_at(scores, np.array([False, True]), None) == (None, None)
    assert rates_at(scores, np.array([True, True]), 1.5) == (None, 0.5)
    assert rates_at(scores, np.array([False, False]), 1.5) == (0.5, None)


@pytest.mark.parametrize("sort", [True, False])
def test_images_of_one_sort_are_refused_with_advice(sort: bool) -> None:
    with pytest.raises(DataError, match="at least one of each"):
        image_metrics(np.array([1.0, 2.0]), np.array([sort, sort]))


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 scores are not finite"):
        auroc(np.array([1.0, np.nan]), np.array([False, True]))


def test_arrays_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        auroc(np.array([1.0, 2.0]), np.array([True]))


@pytest.mark.parametrize(
    ("nums", "pictures", "truth"),
    [
        ((1000, 10), 1, 0.95),
        ((1000, 20), 1, 0.99),
        ((60, 2), 1, 0.7),
        ((30, 30), 8, 0.9),
        ((100, 10), 8, 0.9),
        ((30, 5), 10, 0.9),
    ],
)
def test_the_interval_covers_the_truth_with_few_anomalies_and_with_several_pictures_of_each_part(
    nums: tuple[int, int], pictures: int, truth: float
) -> None:
    """Pictures of one part correlate at 0.8; of so many normal and defective parts."""
    num_parts = sum(nums)
    is_defective = np.arange(num_parts) >= nums[0]
    labels, parts = np.repeat(is_defective, pictures), np.repeat(np.arange(num_parts), pictures)
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scores = 0.8**0.5 * rng.normal(size=num_parts)[parts] + 0.2**0.5 * rng.normal(size=len(parts))
        named = [f"part {part}" for part in parts]
        low, high = image_metrics(scores + 2**0.5 * ndtri(truth) * labels, labels, parts=named).auroc_ci95
        covered += low <= truth <= high
    assert covered >= 185


def test_a_part_with_normal_and_defective_pictures_counts_in_both() -> None:
    """Each part has one of either, alike but for the defect: the AUROC varies less than of twice as many parts."""
    rng = np.random.default_rng(0)
    part = rng.normal(size=40)
    scores, labels = np.r_[part, part + 1 + 0.1 * rng.normal(size=40)], np.arange(80) >= 40
    low, high = image_metrics(scores, labels).auroc_ci95
    paired = lead_over(scores, -scores, labels, [f"{i}" for i in [*range(40), *range(40)]])
    apart = lead_over(scores, -scores, labels)
    assert paired[1] - paired[0] < 0.75 * (apart[1] - apart[0])
    assert low < high


def test_of_one_anomaly_nearly_nothing_is_known() -> None:
    low, high = image_metrics(np.r_[np.arange(80.0), 71.5], np.arange(81) == 80).auroc_ci95
    assert low < 0.1
    assert high > 0.99


def test_the_interval_is_a_little_narrow_where_few_anomalies_are_spread_widely() -> None:
    """1,000 N(0, 1) against 20 N(d, 3)."""
    labels, truth = np.arange(1020) >= 1000, 0.9
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scores = np.r_[rng.normal(size=1000), rng.normal(10**0.5 * ndtri(truth), 3, 20)]
        low, high = image_metrics(scores, labels).auroc_ci95
        covered += low <= truth <= high
    assert covered >= 172


def test_two_that_make_no_mistake_are_not_proved_equal() -> None:
    """Three normals and three anomalies: each AUROC is known to 0.29 … 1, and so no better is the lead."""
    scores, labels = np.arange(6.0), np.arange(6) >= 3
    low, high = lead_over(scores, scores**2, labels)
    assert low == pytest.approx(-high) == pytest.approx(0.025 ** (1 / 3) - 1)


@pytest.mark.parametrize(
    ("nums", "truths"), [((1000, 10), (0.99, 0.97)), ((10, 10), (0.99, 0.95)), ((100, 100), (0.97, 0.95))]
)
def test_the_interval_of_a_lead_covers_it_where_both_rank_nearly_perfectly(
    nums: tuple[int, int], truths: tuple[float, float]
) -> None:
    labels = np.arange(sum(nums)) >= nums[0]
    covered = 0
    for seed in range(200):
        shared, *own = np.random.default_rng(seed).normal(size=(3, len(labels)))
        scores, others = (
            (shared + each) / 2**0.5 + 2**0.5 * ndtri(truth) * labels for each, truth in zip(own, truths, strict=True)
        )
        low, high = lead_over(scores, others, labels)
        covered += low <= truths[0] - truths[1] <= high
    assert covered >= 186
