import json

import numpy as np
import pytest

from anomaly.errors import DataError
from anomaly.evaluation.summary import Standing, metrics_of, summarise
from tests.evaluation.evaluations import make_evaluation, make_pixel


def test_metrics_hold_the_numbers_that_were_promised() -> None:
    evaluation = make_evaluation()
    metrics = metrics_of(evaluation, summarise(evaluation))
    assert metrics["auroc"] == pytest.approx((100 - (4 + 3 + 2 + 1) - 5 / 2) / 100)
    assert (metrics["threshold"], metrics["alpha"]) == (0.75, 0.2)
    assert (metrics["fpr_at_threshold"], metrics["tpr_at_threshold"]) == (0.2, 0.7)
    assert (metrics["num_normal"], metrics["num_anomalous"], metrics["num_failed"]) == (10, 10, 0)
    assert metrics["baselines"] == {"pca": 0.6, "knn": 0.5}
    assert set(metrics["lead_ci95"]) == {"pca", "knn"}  # type: ignore[call-overload]
    assert set(metrics) >= {"auroc_ci95", "average_precision", "fpr_at_95_tpr", "model", "digest"}
    assert not {"pixel_auroc", "aupro"} & set(metrics)


def test_terms_and_kinds_have_their_own_auroc() -> None:
    summary = summarise(make_evaluation())
    assert summary.auroc_by_term["residual"] == summary.image.auroc
    assert summary.auroc_by_term["cross_entropy"] == pytest.approx(1 - summary.image.auroc)
    assert summary.auroc_by_kind["scratch"] == 1
    assert summary.image.auroc == pytest.approx(np.mean(list(summary.auroc_by_kind.values())))


def test_each_kind_has_its_interval_which_heeds_parts() -> None:
    found = [
        metrics_of(evaluation, summarise(evaluation))["auroc_ci95_by_kind"]
        for evaluation in (make_evaluation(), make_evaluation(parts=["a"] * 10 + ["b"] * 5 + ["c"] * 5))
    ]
    assert found[0]["scratch"] == pytest.approx([0.025**0.2, 1])  # type: ignore[index]
    assert found[1]["scratch"] == pytest.approx([0.025, 1])  # type: ignore[index]
    assert [list(each) for each in found] == [["dent", "scratch"]] * 2  # type: ignore[call-overload]


def test_it_tells_how_much_stands_behind_the_figures() -> None:
    evaluation = make_evaluation(seed=7)
    metrics = metrics_of(evaluation, summarise(evaluation))
    assert metrics["num_by_kind"] == {"dent": 5, "scratch": 5}
    assert (metrics["num_baseline"], metrics["seed"]) == (30, 7)


def test_masks_bring_pixel_metrics() -> None:
    evaluation = make_evaluation(pixel=make_pixel())
    metrics = metrics_of(evaluation, summarise(evaluation))
    assert (metrics["num_pixel_normal"], metrics["num_pixel_anomalous"]) == (10, 8)
    assert (metrics["num_without_mask"], metrics["num_masks_failed"]) == (1, 1)
    assert metrics["mask_failures"] == [{"path": "test/19.png", "error": "the mask is torn"}]
    assert (metrics["pixel_auroc"], metrics["aupro"]) == (0.9, 0.7)


def test_metrics_are_json_also_without_a_threshold() -> None:
    evaluation = make_evaluation(threshold=None, failures=[("a\udcff.png", "broken")])
    metrics = metrics_of(evaluation, summarise(evaluation))
    assert metrics == json.loads(json.dumps(metrics, allow_nan=False))
    assert metrics["threshold"] is metrics["fpr_at_threshold"] is metrics["tpr_at_threshold"] is None
    assert metrics["failures"] == [{"path": "a\udcff.png", "error": "broken"}]


def test_parts_count_one_image_each() -> None:
    counted = np.isin(np.arange(20), [1, 8, 9])
    metrics = metrics_of(evaluation := make_evaluation(counted=counted), summarise(evaluation))
    assert (metrics["num_parts"], metrics["fpr_of_parts"]) == (3, pytest.approx(2 / 3))
    metrics = metrics_of(evaluation := make_evaluation(counted=counted, threshold=None), summarise(evaluation))
    assert (metrics["num_parts"], metrics["fpr_of_parts"]) == (3, None)
    metrics = metrics_of(evaluation := make_evaluation(), summarise(evaluation))
    assert (metrics["num_parts"], metrics["fpr_of_parts"]) == (None, None)


def test_normals_alone_are_refused() -> None:
    evaluation = make_evaluation()
    with pytest.raises(DataError, match="10 normal and 0 anomalous"):
        summarise(
            make_evaluation(
                labels=evaluation.images.labels[:10],
                scores=evaluation.images.scores[:10],
                paths=evaluation.images.paths[:10],
                terms={},
            )
        )


LABELS = np.arange(400) >= 200


def standing(own: float, other: float, *, alike: float, seed: int = 0) -> Standing:
    """Of 200 normals and 200 anomalies, which lie so many deviations higher; by scores that correlate at `alike`."""
    rng = np.random.default_rng(seed)
    shared, first, second = rng.normal(size=(3, 400))
    scores, others = (alike**0.5 * shared + (1 - alike) ** 0.5 * each for each in (first, second))
    evaluation = make_evaluation(
        scores=scores + own * LABELS,
        labels=LABELS,
        kinds=[""] * 400,
        paths=[f"{i}.png" for i in range(400)],
        terms={},
        standardised={},
        p_values=np.ones(400),
        baselines={"pca": others + other * LABELS, "knn": rng.normal(size=400)},
    )
    return summarise(evaluation).standing


@pytest.mark.parametrize(
    ("own", "other", "alike", "expected"),
    [
        (2.0, 1.0, 0.0, Standing.AHEAD),
        (1.0, 2.0, 0.0, Standing.BEHIND),
        (1.5, 1.5, 0.0, Standing.LEVEL),
        (1.7, 1.5, 0.95, Standing.AHEAD),  # a small lead on the same images, which their own spread would hide
        (1.7, 1.5, 0.0, Standing.LEVEL),
    ],
)
def test_a_lead_counts_only_beyond_chance(own: float, other: float, alike: float, expected: Standing) -> None:
    assert standing(own, other, alike=alike, seed=1) is expected


@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_equal_detectors_are_seldom_told_apart(alike: float) -> None:
    told = [standing(1.5, 1.5, alike=alike, seed=seed) for seed in range(200)]
    assert sum(each is not Standing.LEVEL for each in told) <= 18  # 5 % are expected


def test_without_baselines_it_stands_alone() -> None:
    summary = summarise(make_evaluation(baselines={}))
    assert summary.standing is Standing.ALONE
    assert metrics_of(make_evaluation(baselines={}), summary)["lead_ci95"] == {}


def test_two_normals_prove_no_lead() -> None:
    """Ranked rightly by one and wrongly by the other."""
    labels = np.arange(42) >= 2
    own, other = np.where(labels, 1.0, 0.0), np.where(labels, np.arange(42) % 4, 2.5)
    evaluation = make_evaluation(scores=own, labels=labels, kinds=[""] * 42, terms={}, baselines={"pca": other})
    assert summarise(evaluation).standing is Standing.LEVEL
