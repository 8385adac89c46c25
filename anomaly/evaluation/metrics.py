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
from scipy.special import betaincinv
from sklearn.metrics import average_precision_score, roc_curve

from anomaly.calibration import is_above
from anomaly.errors import DataError

_TAILS = (0.025, 0.975)  # of a 95% interval
ScoreArray = NDArray[np.floating]
Labels = NDArray[np.bool_]


@dataclass(frozen=True)
class ImageMetrics:
    """Measures over a test split that need no threshold, and how many images stand behind them."""

    auroc: float
    auroc_ci95: tuple[float, float]
    average_precision: float
    fpr_at_95_tpr: float
    num_normal: int
    num_anomalous: int


def image_metrics(
    scores: ScoreArray,
    labels: Labels,
    *,
    parts: Sequence[str] | None = None,
    seed: int = 0,
    num_bootstrap: int = 2000,
) -> ImageMetrics:
    """Measure the ranking of a test split; raises DataError unless there are both normal and anomalous images.

    `auroc_ci95` is the percentile interval of a bootstrap that redraws normals and anomalies separately. It speaks of
    other test images, not of other training runs. `parts` (n,) say which part each normal shows: then whole parts are
    redrawn, with all their images, and the interval speaks of other parts (a cluster bootstrap: Davison and Hinkley
    1997, section 3.8). Where the bootstrap degenerates, `_exact_interval` widens it: with a perfect or nearly perfect
    AUROC, redrawn splits are as perfect, and their interval shrinks towards a point however few images there are.
    """
    normal, anomalous = _split(scores, labels)
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    shown = np.arange(len(normal)) if parts is None else _parts_of_sorted(scores, labels, parts)
    aurocs = _bootstrap_aurocs(normal, anomalous, shown, np.random.default_rng(seed), num_bootstrap)
    low, high = np.quantile(aurocs, _TAILS).tolist()
    found = auroc(scores, labels)
    if low == 0 or high == 1 or low == high:
        exact_low, exact_high = _exact_interval(found, min(int(shown.max()) + 1, len(anomalous)))
        low, high = min(low, exact_low), max(high, exact_high)
    return ImageMetrics(
        auroc=found,
        auroc_ci95=(low, high),
        average_precision=float(average_precision_score(labels, scores)),
        fpr_at_95_tpr=float(fpr[tpr >= 0.95].min()),
        num_normal=len(normal),
        num_anomalous=len(anomalous),
    )


def auroc(scores: ScoreArray, labels: Labels) -> float:
    """Area under the ROC curve; raises DataError unless there are both normal and anomalous images."""
    normal, anomalous = _split(scores, labels)
    num_below, num_not_above = _places(normal, anomalous)
    return float((num_below + num_not_above).sum() / (2 * len(normal) * len(anomalous)))


def auroc_by_kind(scores: ScoreArray, labels: Labels, kinds: Sequence[str]) -> dict[str, float]:
    """AUROC of each kind of anomaly against all normals, in alphabetical order; the kinds of normals play no part."""
    kind_of = np.asarray(kinds, dtype=object)
    anomalous_kinds = sorted(set(kind_of[labels]))
    members = {kind: ~labels | (kind_of == kind) for kind in anomalous_kinds}
    return {kind: auroc(scores[member], labels[member]) for kind, member in members.items()}


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
    """Scores of the normals and of the anomalies, each sorted."""
    if scores.shape != labels.shape or scores.ndim != 1:
        raise ValueError(f"scores and labels must be two vectors of one length, got {scores.shape} and {labels.shape}")
    if not np.isfinite(scores).all():
        num_bad = int((~np.isfinite(scores)).sum())
        raise DataError(
            f"{num_bad} of {scores.size} scores are not finite numbers, so images cannot be ranked by them. "
            "Leave these images out, or look for what is wrong with the model with `anomaly models verify`."
        )
    normal, anomalous = np.sort(scores[~labels].astype(np.float64)), np.sort(scores[labels].astype(np.float64))
    if not normal.size or not anomalous.size:
        raise DataError(
            f"Got {normal.size} normal and {anomalous.size} anomalous test images, but an evaluation needs at least "
            "one of each. Give a test split with both; for images of one sort alone use `anomaly score`."
        )
    return normal, anomalous


def _exact_interval(share: float, num_pairs: int) -> tuple[float, float]:
    """The 95% interval of Clopper and Pearson (1934) for an AUROC, as a share of `num_pairs` independent pairs.

    `num_pairs` is the size of the smaller class: so many pairs of a normal and an anomaly share no image. If all
    normals lie below all anomalies, each of these pairs is ranked rightly, which has at most the probability
    AUROC^num_pairs, whatever the distributions. So the lower end 0.025^(1/num_pairs) for an AUROC of 1 holds for few
    images, too. For an AUROC near 1 a share of the pairs that is no whole number is put into the same formula. It errs
    on the wide side.
    Source: Obuchowski and Lieber 2002, Academic Radiology 9, 526–530, on such bounds where the AUROC found is 1.
    """
    right, wrong = share * num_pairs, (1 - share) * num_pairs
    low = float(betaincinv(right, wrong + 1, _TAILS[0])) if share > 0 else 0.0
    high = float(betaincinv(right + 1, wrong, _TAILS[1])) if share < 1 else 1.0
    return low, high


def _places(normal: NDArray[np.float64], anomalous: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each anomaly, how many of the sorted normals score lower, and how many do not score higher."""
    return np.searchsorted(normal, anomalous, side="left"), np.searchsorted(normal, anomalous, side="right")


def _parts_of_sorted(scores: ScoreArray, labels: Labels, parts: Sequence[str]) -> NDArray[np.intp]:
    """The number of the part of each normal, in the order of `_split`."""
    numbers = np.unique(np.array(parts)[~labels], return_inverse=True)[1]
    return numbers[np.argsort(scores[~labels].astype(np.float64), kind="stable")]


def _bootstrap_aurocs(
    normal: NDArray[np.float64],
    anomalous: NDArray[np.float64],
    shown: NDArray[np.intp],
    rng: np.random.Generator,
    num_bootstrap: int,
) -> NDArray[np.float64]:
    """AUROCs of resampled splits, without sorting again: redrawn normals only change how many stand at each place.

    `shown` has the part of each normal, numbered from 0.
    """
    num_parts, m = int(shown.max()) + 1, len(anomalous)
    num_below, num_not_above = _places(normal, anomalous)
    aurocs = np.empty(num_bootstrap)
    for i in range(num_bootstrap):
        num_drawn = np.bincount(rng.integers(0, num_parts, num_parts), minlength=num_parts)[shown]
        num_among_first = np.concatenate(([0], np.cumsum(num_drawn)))
        wins_twice = num_among_first[num_below] + num_among_first[num_not_above]
        aurocs[i] = wins_twice[rng.integers(0, m, m)].sum() / (2 * num_among_first[-1] * m)
    return aurocs
