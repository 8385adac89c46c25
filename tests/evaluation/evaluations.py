"""A small evaluation, as the pipeline would hand it over."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.results import (
    Baselines,
    EvaluatedModel,
    Evaluation,
    Example,
    PixelFigures,
    ScoredSplit,
)
from anomaly.scoring import StrongestPlace


def make_example(**changes: Any) -> Example:
    rng = np.random.default_rng(0)
    example = Example(
        group="Anomalies with the highest scores",
        path="test/dent/0.png",
        kind="dent",
        score=4.5,
        p_value=0.01,
        image=rng.integers(0, 256, (30, 20, 3), dtype=np.uint8),
        reconstruction=rng.integers(0, 256, (8, 8), dtype=np.uint8),
        heatmap=rng.random((30, 20)),
        strongest=StrongestPlace(x=4, y=9, width=3, height=2, strength=3.9),
        standardised={"residual": 4.0, "cross_entropy": -0.5},
        mask=None,
    )
    return replace(example, **changes)


def make_pixel(**changes: Any) -> PixelFigures:
    """Eight of ten defects have a mask that can be used, one has none, and one cannot be used."""
    failures = [("test/19.png", "the mask is torn")]
    return replace(PixelFigures(0.9, 0.7, num_normal=10, num_anomalous=8, num_without=1, failures=failures), **changes)


def ranked(auroc: float, labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scores with this AUROC, to the nearest pair: some anomalies above all normals, the others below, one between."""
    num_normal, num_anomalous = int((~labels).sum()), int(labels.sum())
    num_right = round(auroc * num_normal * num_anomalous)
    places = np.clip(
        num_right - num_normal * np.arange(num_anomalous), 0, num_normal
    )  # how many normals lie below each
    scores = np.empty(len(labels))
    scores[~labels] = np.arange(num_normal)
    scores[labels] = places - 0.5
    return scores


def make_evaluation(**changes: Any) -> Evaluation:
    """Ten normals with scores 0 … 0.9 and ten anomalies with scores 0.5 … 1.4; the threshold is 0.75."""
    labels = np.arange(20) >= 10
    scores = np.arange(20) % 10 / 10 + 0.5 * labels
    evaluation = Evaluation(
        title="Tiles",
        data="data/tiles",
        model=EvaluatedModel("tiles/1", "ab" * 32, "bigan", seed=0, num_calibration=99),
        images=ScoredSplit(
            paths=[f"test/{i}.png" for i in range(20)],
            labels=labels,
            kinds=["good"] * 10 + ["dent"] * 5 + ["scratch"] * 5,
            scores=scores,
            p_values=np.linspace(1, 0.05, 20),
            terms={"residual": scores, "cross_entropy": -scores},
            standardised={"residual": 4 * scores - 2, "cross_entropy": 2 - 4 * scores},
        ),
        alpha=0.2,
        threshold=0.75,
        baselines=Baselines({"pca": ranked(0.6, labels), "knn": ranked(0.5, labels)}, 30),
        pixel=None,
        examples=[make_example()],
        failures=[],
    )
    return changed(evaluation, **changes)


def changed(evaluation: Evaluation, **changes: Any) -> Evaluation:
    """With other values of these fields, which may be those of the model and of the images; `baselines` by name."""
    if "baselines" in changes:
        changes["baselines"] = replace(evaluation.baselines, scores=changes["baselines"])
    for name in ("model", "images"):
        assert name not in changes, "give its fields"
        part = getattr(evaluation, name)
        own = {field.name: changes.pop(field.name) for field in fields(part) if field.name in changes}
        changes[name] = replace(part, **own)
    return replace(evaluation, **changes)
