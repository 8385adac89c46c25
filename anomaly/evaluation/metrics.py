"""How well scores tell anomalous images from normal ones.

Scores are (n,), finite, higher is more anomalous; labels are (n,), True for anomalous. All shares lie in [0, 1].
AUROC is computed from ranks, as the Mann–Whitney statistic: the share of all pairs of a normal and an anomalous image
in which the anomalous one scores higher, a tie counting one half (Hanley and McNeil 1982).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_curve

from anomaly.calibration import is_above
from anomaly.errors import DataError
from anomaly.evaluation.intervals import (
    Interval,
    Labels,
    auroc_interval,
    lead_interval,
    placements,
)

ScoreArray = NDArray[np.floating]


@dataclass(frozen=True)
class ImageMetrics:
    """Measures over a test split that need no threshold, and how many images stand behind them."""

    auroc: float
    auroc_ci95: Interval
    average_precision: float
    fpr_at_95_tpr: float
    num_normal: int
    num_anomalous: int


def image_metrics(scores: ScoreArray, labels: Labels, *, parts: Sequence[str] | None = None) -> ImageMetrics:
    """Measure the ranking of a test split; raises DataError unless there are both normal and anomalous images.

    `auroc_ci95` speaks of other test images (see `intervals`). `parts` (n,) say which part each image shows, "" for one
    of its own: then images of one part count as one unit, and the interval speaks of other parts.
    """
    found = auroc(scores, labels)
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    return ImageMetrics(
        auroc=found,
        auroc_ci95=_interval(found, scores, labels, parts),
        average_precision=float(average_precision_score(labels, scores)),
        fpr_at_95_tpr=float(fpr[tpr >= 0.95].min()),
        num_normal=int((~labels).sum()),
        num_anomalous=int(labels.sum()),
    )


def auroc(scores: ScoreArray, labels: Labels) -> float:
    """Area under the ROC curve; raises DataError unless there are both normal and anomalous images."""
    normal, anomalous = _split(scores, labels)
    num_below = np.searchsorted(normal, anomalous, side="left")
    num_not_above = np.searchsorted(normal, anomalous, side="right")
    return float((num_below + num_not_above).sum() / (2 * len(normal) * len(anomalous)))


def lead_over(scores: ScoreArray, others: ScoreArray, labels: Labels, parts: Sequence[str] | None = None) -> Interval:
    """The 95% interval of the AUROC of `scores` minus that of `others`, of the same images."""
    aurocs = auroc(scores, labels), auroc(others, labels)
    placed = placements(scores, labels), placements(others, labels)
    return lead_interval(aurocs, placed, labels, parts)


def auroc_by_kind(scores: ScoreArray, labels: Labels, kinds: Sequence[str]) -> dict[str, float]:
    """AUROC of each kind of anomaly against all normals, in alphabetical order; the kinds of normals play no part."""
    return {kind: auroc(scores[member], labels[member]) for kind, member in _members(labels, kinds).items()}


def interval_by_kind(
    scores: ScoreArray, labels: Labels, kinds: Sequence[str], parts: Sequence[str] | None = None
) -> dict[str, Interval]:
    """The 95% interval of each of these, as that of all anomalies; `parts` as `image_metrics` takes them."""
    shown = None if parts is None else np.array(parts)
    intervals = {}
    for kind, member in _members(labels, kinds).items():
        found = auroc(scores[member], labels[member])
        own = None if shown is None else shown[member].tolist()
        intervals[kind] = _interval(found, scores[member], labels[member], own)
    return intervals


def _members(labels: Labels, kinds: Sequence[str]) -> dict[str, Labels]:
    """Of each kind of anomaly its images, and all normals."""
    kind_of = np.asarray(kinds, dtype=object)
    return {kind: ~labels | (kind_of == kind) for kind in sorted(set(kind_of[labels]))}


def _interval(found: float, scores: ScoreArray, labels: Labels, parts: Sequence[str] | None) -> Interval:
    shown = None if parts is None else np.array(parts)
    order = np.lexsort((scores, labels) if shown is None else (shown, scores, labels))  # so that sums round alike
    placed = placements(scores[order], labels[order])
    return auroc_interval(found, placed, labels[order], None if shown is None else shown[order].tolist())


def num_by_kind(labels: Labels, kinds: Sequence[str]) -> dict[str, int]:
    """The number of anomalous images of each kind, in alphabetical order."""
    return dict(sorted(Counter(kind for kind, label in zip(kinds, labels, strict=True) if label).items()))


def rates_at(scores: ScoreArray, labels: Labels, threshold: float | None) -> tuple[float | None, float | None]:
    """False- and true-positive rate at this threshold; None where undefined."""
    if threshold is None:
        return None, None
    is_anomalous = is_above(scores, threshold)
    return _share(is_anomalous[~labels]), _share(is_anomalous[labels])


def _share(flags: Labels) -> float | None:
    return float(flags.mean()) if flags.size else None


def _split(scores: ScoreArray, labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of the normals, sorted, and of the anomalies."""
    if scores.shape != labels.shape or scores.ndim != 1:
        raise ValueError(f"scores and labels must be two vectors of one length, got {scores.shape} and {labels.shape}")
    if not np.isfinite(scores).all():
        num_bad = int((~np.isfinite(scores)).sum())
        raise DataError(
            f"{num_bad} of {scores.size} scores are not finite numbers, so images cannot be ranked by them. "
            "Leave these images out, or look for what is wrong with the model with `anomaly models verify`."
        )
    normal, anomalous = np.sort(scores[~labels].astype(np.float64)), scores[labels].astype(np.float64)
    if not normal.size or not anomalous.size:
        raise DataError(
            f"Got {normal.size} normal and {anomalous.size} anomalous test images, but an evaluation needs at least "
            "one of each. Give a test split with both; for images of one sort alone use `anomaly score`."
        )
    return normal, anomalous
