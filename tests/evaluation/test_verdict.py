"""The verdict: each sentence says what the numbers say, and no more."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.calibration import Calibration
from anomaly.evaluation import summarise, verdict_lines
from anomaly.evaluation.metrics import rates_at
from anomaly.evaluation.results import Evaluation
from anomaly.evaluation.summary import Rival
from anomaly.evaluation.verdict import (
    comparison_sentence,
    inverted_sentence,
    kinds_sentence,
    operating_sentence,
    outliers_sentence,
    pixel_sentence,
    term_sentence,
    threshold_sentence,
    told_apart,
)
from tests.evaluation.evaluations import changed, make_evaluation, make_pixel, ranked

SUMMARY = summarise(make_evaluation())


def lines(evaluation: Evaluation) -> list[str]:
    return verdict_lines(evaluation, summarise(evaluation))


def operating(evaluation: Evaluation) -> str:
    """The sentence alone."""
    fpr, tpr = rates_at(evaluation.images.scores, evaluation.images.labels, evaluation.threshold)
    return operating_sentence(evaluation, replace(SUMMARY, fpr_at_threshold=fpr, tpr_at_threshold=tpr))


def of_aurocs(aurocs: dict[str, float], num: int = 10) -> dict[str, np.ndarray]:
    """Scores of baselines, of so many normals and as many anomalies."""
    return {name: ranked(auroc, np.arange(2 * num) >= num) for name, auroc in aurocs.items()}


def kinds(aurocs: dict[str, float]) -> str | None:
    spans = {kind: (value - 0.05, value + 0.05) for kind, value in aurocs.items()}
    return kinds_sentence(replace(SUMMARY, auroc_by_kind=aurocs, ci95_by_kind=spans))


def false_alarms(num: int, *, of: int, alpha: float, num_calibration: int) -> Evaluation:
    """So many of the normals are above the threshold, and one anomaly."""
    scores = np.array([1.0] * num + [0.0] * (of - num) + [1.0])
    return make_evaluation(
        scores=scores,
        labels=np.arange(of + 1) == of,
        kinds=["good"] * of + ["dent"],
        terms={},
        standardised={},
        threshold=0.5,
        alpha=alpha,
        num_calibration=num_calibration,
    )


def test_the_comparison_comes_last() -> None:
    ranking, decisions, by_kind, comparison = lines(make_evaluation(baselines=of_aurocs({"pca": 0.3, "knn": 0.2})))
    assert ranking.startswith("AUROC 87.5% (95% interval ")
    assert "gives the anomalous one the higher score 87.5 times in 100" in ranking
    assert decisions.startswith("At the threshold it finds 70.0% of the anomalies")
    assert by_kind.startswith("AUROC by kind of anomaly with 95% intervals, worst first: dent 75.0% (")
    assert "), scratch 100.0% (" in by_kind
    assert comparison.startswith("It is better than the plain baselines.")


@pytest.mark.parametrize(
    ("baselines", "sentence"),
    [
        (
            {"pca": 0.3, "knn": 0.2},
            "better than the plain baselines. The best of them is PCA with an AUROC of 30.0%.",
        ),
        (
            {"pca": 0.3, "knn": 0.8},
            "neither better nor worse than the best plain baseline, nearest neighbours with an AUROC of 80.0%, against "
            "87.5% for this model, within the uncertainty",
        ),
        (
            {"pca": 0.99, "knn": 0.2},
            "neither better nor worse than the best plain baseline, PCA with an AUROC of 99.0%",
        ),
        ({}, "No baseline was measured"),
    ],
)
def test_it_says_who_is_better(baselines: dict[str, float], sentence: str) -> None:
    assert sentence in lines(make_evaluation(baselines=of_aurocs(baselines)))[-1]


def test_it_says_that_a_baseline_is_better() -> None:
    evaluation = make_evaluation(baselines=of_aurocs({"pca": 0.99, "knn": 0.2}))
    worse = changed(evaluation, scores=-evaluation.images.scores)
    assert "A plain baseline is better: PCA with an AUROC of 99.0%, against 12.5% for" in lines(worse)[-1]


@pytest.mark.parametrize(
    ("rivals", "sentence"),
    [
        (
            {"pca": Rival(0.86, (0.005, 0.03)), "knn": Rival(0.8, (-0.02, 0.17))},
            "neither better nor worse than a plain baseline, nearest neighbours with an AUROC of 80.0%, against 87.5%",
        ),
        (
            {"pca": Rival(0.95, (-0.2, 0.05)), "knn": Rival(0.9, (-0.04, -0.01))},
            "A plain baseline is better: nearest neighbours with an AUROC of 90.0%, against 87.5%",
        ),
        (
            {"pca": Rival(0.95, (-0.2, 0.05)), "knn": Rival(0.8, (0.01, 0.14))},
            "neither better nor worse than the best plain baseline, PCA with an AUROC of 95.0%",
        ),
    ],
)
def test_the_baseline_that_is_named_is_the_one_of_which_it_is_true(rivals: dict[str, Rival], sentence: str) -> None:
    """The best of them may be clearly worse, or not told apart, while of another one the opposite is known."""
    assert sentence in comparison_sentence(make_evaluation(), replace(SUMMARY, rivals=rivals))


def test_it_says_how_much_stands_behind_the_figures() -> None:
    assert lines(make_evaluation(seed=3))[0].endswith(
        "Measured on 10 normal and 10 anomalous images, of one training (seed 3)."
    )


def test_masks_that_may_be_inverted_are_named() -> None:
    assert inverted_sentence(make_evaluation()) is inverted_sentence(make_evaluation(pixel=make_pixel())) is None
    one = inverted_sentence(make_evaluation(pixel=make_pixel(inverted=["a.png"])))
    assert one is not None
    assert one.startswith("A mask may be inverted: a.png marks most of the picture")
    two = inverted_sentence(make_evaluation(pixel=make_pixel(inverted=["a.png", "b.png"])))
    assert two is not None
    assert two.startswith("2 masks may be inverted, such as a.png (metrics.json names all): they mark most")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {},
            "Pixel AUROC 90.0%, AUPRO 70.0%, over 8 of 10 anomalous images and 10 normal ones: 1 has no mask and the "
            "masks of 1 image cannot be used (metrics.json says why).",
        ),
        (
            {"num_anomalous": 10, "num_without": 0, "failures": []},
            "Pixel AUROC 90.0%, AUPRO 70.0%, over 10 of 10 anomalous images and 10 normal ones.",
        ),
        (
            {"auroc": None, "aupro": None, "num_anomalous": 0, "num_without": 10, "failures": []},
            "There are no pixel figures: 10 have no mask.",
        ),
    ],
)
def test_pixel_figures_say_of_how_many_defects_they_tell(changes: dict[str, object], sentence: str) -> None:
    assert pixel_sentence(make_evaluation(pixel=make_pixel(**changes))) == sentence
    assert pixel_sentence(make_evaluation()) is None


def missing(threshold: float | None, **changes: object) -> Evaluation:
    """Twenty normals with scores from 0 to 0.95 and twenty anomalies with scores from 1 to 1.95."""
    labels = np.arange(40) >= 20
    return make_evaluation(
        scores=np.arange(40) / 20,
        labels=labels,
        kinds=["good"] * 20 + ["dent"] * 20,
        paths=[f"test/{i}.png" for i in range(40)],
        terms={},
        standardised={},
        threshold=threshold,
        alpha=0.05,
        num_calibration=19,
        p_values=np.array([1.0] * 10 + [0.9] * 30),  # most of the calibration scores are higher than these
        baselines=of_aurocs({"pca": 0.3}, 20),
        **changes,
    )


def test_a_threshold_that_misses_what_the_scores_tell_apart_is_too_high() -> None:
    said = lines(missing(1.9))
    (sentence,) = (line for line in said if line.startswith("The threshold misses most anomalies"))
    assert "would find 100.0%, with no more false alarms than was asked for. The threshold is too high" in sentence
    assert "calibrated with unlike images, or with defective ones" in sentence
    assert "Calibrate with good images of today's light" in sentence
    assert said[-1].startswith("It ranks better than the plain baselines, but its threshold is too high.")


def test_the_threshold_that_fits_leaves_as_many_normals_above_as_alpha_allows() -> None:
    """29 of 100 normals are 29 %, though 0.29 · 100 rounds to below 29; the anomalies lie below the 28th highest."""
    evaluation = changed(
        missing(98.0),
        scores=np.r_[np.arange(100.0), np.full(20, 70.5)],
        labels=np.arange(120) >= 100,
        kinds=["good"] * 100 + ["dent"] * 20,
        paths=[f"test/{i}.png" for i in range(120)],
        p_values=np.full(120, 0.95),
        alpha=0.29,
        baselines={},
    )
    assert any("would find 100.0%" in line for line in lines(evaluation))


def test_where_new_parts_count_the_threshold_is_held_against_them() -> None:
    counted = np.arange(40) < 5
    assert any("misses most" in line for line in lines(missing(1.9, counted=counted)))
    assert any("misses most" in line for line in lines(missing(1.9, counted=np.zeros(40, np.bool_))))


@pytest.mark.parametrize("threshold", [0.9, 1.4, None])
def test_a_threshold_that_finds_most_or_is_not_there_is_not_too_high(threshold: float | None) -> None:
    assert not [line for line in lines(missing(threshold)) if "misses most" in line or "too high" in line]


def test_scores_that_rank_badly_are_not_the_threshold_s_fault() -> None:
    mixed = changed(missing(1.9), scores=np.arange(40) % 20 / 10)
    assert not [line for line in lines(mixed) if "misses most" in line]


@pytest.mark.parametrize(("num_defective", "num_at_least", "num_at_most"), [(0, 0, 6), (25, 180, 300)])
def test_a_threshold_that_is_too_high_by_chance_is_not_called_so(
    num_defective: int, num_at_least: int, num_at_most: int
) -> None:
    """Of 99 calibration images, with so many defective ones among them; anomalies that are hard to tell."""
    num_told = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        calibration = Calibration.fit(np.r_[rng.normal(size=99 - num_defective), rng.normal(4, 1, num_defective)])
        scores = np.r_[rng.normal(size=100), rng.normal(1.9, 0.25, 40)]
        labels = np.arange(140) >= 100
        evaluation = make_evaluation(
            scores=scores,
            labels=labels,
            kinds=[""] * 140,
            p_values=calibration.p_values(scores),
            threshold=calibration.threshold(0.05),
            alpha=0.05,
            num_calibration=99,
        )
        _, tpr = rates_at(scores, labels, evaluation.threshold)
        num_told += threshold_sentence(evaluation, replace(SUMMARY, tpr_at_threshold=tpr)) is not None
    assert num_at_least <= num_told <= num_at_most


def test_equal_scores_are_no_sign_of_a_change() -> None:
    """Half of all normals have the highest score, which is the threshold: none is above it, whatever changes."""
    rng = np.random.default_rng(0)
    calibration, scores = Calibration.fit(rng.normal(size=599).clip(max=0.0)), rng.normal(size=400).clip(max=0.0)
    evaluation = changed(
        false_alarms(0, of=400, alpha=0.05, num_calibration=599),
        scores=np.r_[scores, 9.0],
        threshold=calibration.threshold(0.05),
    )
    assert "far" not in operating(evaluation).replace("false alarm", "")


@pytest.mark.parametrize(("alpha", "num_needed"), [(0.05, 19), (0.01, 99), (0.1, 9), (0.07, 14)])
def test_a_missing_threshold_is_explained(alpha: float, num_needed: int) -> None:
    sentence = operating(make_evaluation(threshold=None, alpha=alpha, num_calibration=3))
    assert f"needs at least {num_needed} calibration images, and there are 3" in sentence


def test_a_rate_below_a_tenth_of_a_percent_is_told_as_it_was_given() -> None:
    sentence = operating(make_evaluation(threshold=None, alpha=0.0005, num_calibration=99))
    assert "a false-alarm rate of 0.05% needs at least 1,999 calibration images" in sentence
    assert "A false-alarm rate of 1.25% was asked for" in operating(make_evaluation(alpha=0.0125))


def test_false_alarms_are_told_beside_what_was_asked_for() -> None:
    sentence = operating(make_evaluation())
    assert "a false alarm on 20.0% of the normal images. A false-alarm rate of 20.0% was asked for." in sentence


@pytest.mark.parametrize(
    ("num", "of", "alpha", "num_calibration", "word"),
    [
        (50, 1000, 0.05, 999, None),
        (60, 1000, 0.05, 999, None),
        (100, 1000, 0.05, 999, "far more"),
        (10, 1000, 0.05, 999, "far fewer"),
        (100, 1000, 0.05, 19, None),  # so few calibration images are often that far off
        (2, 10, 0.05, 999, None),  # so few test images too
        (4, 10, 0.05, 999, "far more"),
        (0, 10, 0.05, 999, None),
    ],
)
def test_false_alarms_far_from_what_was_asked_for_are_told_in_words(
    num: int, of: int, alpha: float, num_calibration: int, word: str | None
) -> None:
    sentence = operating(false_alarms(num, of=of, alpha=alpha, num_calibration=num_calibration))
    found = [w for w in ("far more", "far fewer") if w in sentence]
    assert found == ([word] if word else [])


def test_pictures_of_one_part_count_once() -> None:
    """100 false alarms of 1,000 pictures are far more than 5 %; 10 of 100 parts are not."""
    pictures = false_alarms(100, of=1000, alpha=0.05, num_calibration=999)
    assert "far more" in operating(pictures)
    counted = np.arange(1001) % 10 == 0
    counted[-1] = False
    of_parts = changed(pictures, counted=counted)
    fpr, tpr = rates_at(of_parts.images.scores, of_parts.images.labels, of_parts.threshold)
    summary = replace(SUMMARY, fpr_at_threshold=fpr, tpr_at_threshold=tpr, num_parts=100, fpr_of_parts=0.1)
    sentence = operating_sentence(of_parts, summary)
    assert "far more" not in sentence
    assert "Of 100 parts that are new to the model, one normal picture each, it raises one on 10.0%. A" in sentence
    far = changed(of_parts, scores=np.where(counted, 1.0, of_parts.images.scores))
    assert re.search(r"far more false alarms .* chance gives \d+\.\d% to \d+\.\d% of new parts\.", operating(far))


def test_without_new_parts_nothing_is_said_of_their_rate() -> None:
    pictures = changed(false_alarms(100, of=1000, alpha=0.05, num_calibration=999), counted=np.zeros(1001, np.bool_))
    sentence = operating_sentence(pictures, replace(SUMMARY, num_parts=0, fpr_of_parts=None))
    assert "No test normal shows a part that is new to the model" in sentence
    assert "far" not in sentence.replace("false alarm", "")


@pytest.mark.parametrize("num", [10, 100])
def test_such_false_alarms_have_a_likely_cause_and_something_to_do(num: int) -> None:
    sentence = operating(false_alarms(num, of=1000, alpha=0.05, num_calibration=999))
    told = re.search(r"chance gives ([\d.]+)% to ([\d.]+)%\.", sentence)
    assert told is not None
    rng = np.random.default_rng(0)
    drawn = rng.binomial(1000, rng.beta(50, 950, size=100_000)) / 10  # percent; the 50 highest of 999 are above
    np.testing.assert_allclose([float(end) for end in told.groups()], np.quantile(drawn, [0.01, 0.99]), atol=0.15)
    assert "has the light, the camera or the lot of parts changed?" in sentence
    assert sentence.endswith("Calibrate with new normal images like these (anomaly calibrate).")


@pytest.mark.parametrize(("shift", "named"), [(3.5, True), (-3.5, True), (0.5, False)])
def test_the_term_that_has_moved_most_is_named(shift: float, named: bool) -> None:
    evaluation = false_alarms(100, of=1000, alpha=0.05, num_calibration=999)
    residual, other = np.linspace(-1, 1, 1001) + shift, np.linspace(-2, 2, 1001)
    residual[-1] = 900.0  # the anomaly has no part in it
    sentence = operating(changed(evaluation, standardised={"other": other, "residual": residual}))
    assert (f"The term residual has moved most, by {shift:+.1f} standard deviations." in sentence) == named
    assert ("has moved" in sentence) == named


def test_a_term_that_alone_is_far_better_is_told_with_something_to_do() -> None:
    worse = make_evaluation()
    good = worse.images.labels + np.arange(20) / 100
    terms = {"residual": worse.images.scores, "cross_entropy": good}
    evaluation = changed(worse, scores=-worse.images.scores, terms=terms)
    sentence = term_sentence(evaluation, summarise(evaluation))
    assert sentence is not None
    assert sentence.startswith("The term cross_entropy alone separates better (AUROC 100.0%) than the score (12.5%).")
    assert "other terms say the opposite" in sentence
    assert "judge that on other images" in sentence
    assert sentence in lines(evaluation)
    moved = changed(evaluation, standardised={"residual": np.full(20, 4.0), "cross_entropy": np.zeros(20)})
    assert "moved in the term residual, by +4.0 standard deviations" in str(term_sentence(moved, summarise(moved)))


@pytest.mark.parametrize(
    ("auroc", "interval", "term", "is_told"),
    [
        (0.40, (0.3, 0.5), 0.997, True),
        (0.94, (0.9, 0.97), 0.98, False),  # beyond the interval, but not far
        (0.80, (0.6, 0.95), 0.94, False),  # far, but within the interval
        (0.80, (0.75, 0.85), 0.7, False),
    ],
)
def test_a_term_has_to_be_far_better_than_chance_explains(
    auroc: float, interval: tuple[float, float], term: float, is_told: bool
) -> None:
    image = replace(SUMMARY.image, auroc=auroc, auroc_ci95=interval)
    summary = replace(SUMMARY, image=image, auroc_by_term={"residual": 0.1, "izi_f": term})
    sentence = term_sentence(make_evaluation(), summary)
    assert (sentence is not None) == is_told
    assert term_sentence(make_evaluation(), replace(summary, auroc_by_term={})) is None


def test_images_that_pass_though_a_term_is_extreme_are_counted_and_the_furthest_is_named() -> None:
    residual, other = np.zeros(20), np.zeros(20)
    residual[[2, 19]], other[[3, 4, 12]] = 9.0, (6.5, 5.9, 12.0)  # image 19 is an alarm, and 5.9 is not extreme
    evaluation = make_evaluation(standardised={"residual": residual, "other": other})
    assert outliers_sentence(evaluation) == (
        "Not called anomalous, though one term lies more than 6 standard deviations above normal images: 3 of 20 "
        "images (other in 2, residual in 1). Look at them; the furthest is test/12.png, with other at +12.0 standard "
        "deviations."
    )
    assert outliers_sentence(changed(evaluation, threshold=None)) is None
    assert outliers_sentence(make_evaluation()) is None


def test_exchangeable_normals_are_rarely_told_to_be_far_off() -> None:
    rng = np.random.default_rng(0)
    num_told, num_runs = 0, 400
    for _ in range(num_runs):
        calibration = Calibration.fit(rng.normal(size=60))
        threshold = calibration.threshold(0.1)
        assert threshold is not None
        num_false = int((rng.normal(size=200) > threshold).sum())
        num_told += " far " in operating(false_alarms(num_false, of=200, alpha=0.1, num_calibration=60))
    assert num_told / num_runs < 0.03  # 1 % on either side, less by discreteness
    assert num_told > 0


def test_one_kind_has_no_sentence() -> None:
    assert kinds({"dent": 0.9}) is None
    assert kinds({"": 0.9}) is None


def test_few_kinds_are_all_named_and_of_many_the_worst_and_the_best() -> None:
    assert kinds({"a": 0.9, "b": 0.7, "c": 0.8}) == (
        "AUROC by kind of anomaly with 95% intervals, worst first: b 70.0% (65.0% to 75.0%), c 80.0% (75.0% to 85.0%), "
        "a 90.0% (85.0% to 95.0%)."
    )
    assert kinds({"": 0.7, "a": 0.9}) == (
        "AUROC by kind of anomaly with 95% intervals, worst first: no kind given 70.0% (65.0% to 75.0%), a 90.0% "
        "(85.0% to 95.0%)."
    )
    many = kinds({"a": 0.9, "b": 0.55, "c": 0.8, "d": 0.7})
    assert many == (
        "AUROC by kind of anomaly with 95% intervals, the worst 3 of 4: b 55.0% (50.0% to 60.0%), d 70.0% (65.0% to "
        "75.0%), c 80.0% (75.0% to 85.0%); guessing gives 50%. The best: a 90.0% (85.0% to 95.0%)."
    )


@given(st.floats(0.001, 0.999), st.integers(0, 50), st.integers(0, 10))
def test_every_number_of_false_alarms_has_its_sentence(alpha: float, num_calibration: int, num: int) -> None:
    evaluation = false_alarms(num, of=10, alpha=alpha, num_calibration=num_calibration)
    if Calibration(np.arange(float(num_calibration))).threshold(alpha) is None:
        evaluation = changed(evaluation, threshold=None)
    sentence = operating(evaluation)
    assert sentence.endswith(".")
    assert "nan" not in sentence


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (0.99, 0.875, ("99.0%", "87.5%")),
        (1.0, 0.99996, ("100.000%", "99.996%")),
        (0.87504, 0.875, ("87.504%", "87.500%")),
        (1.0, 1.0, ("100.0%", "100.0%")),
    ],
)
def test_shares_that_differ_are_shown_so_that_they_do(first: float, second: float, expected: tuple[str, str]) -> None:
    assert told_apart(first, second) == expected


def test_one_of_a_thing_is_told_as_one() -> None:
    pixel = replace(make_pixel(), num_anomalous=1, num_normal=1, num_without=1)
    said = pixel_sentence(make_evaluation(pixel=pixel))
    assert said is not None
    assert "and 1 normal one: 1 has no mask" in said
