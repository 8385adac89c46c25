"""Where single terms contradict the score, or have moved since the training. It is said of test images, never used.

Standardised terms are standard deviations above the mean of the *select* normals.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from anomaly.calibration import is_above
from anomaly.evaluation.results import Evaluation
from anomaly.evaluation.summary import Summary

FAR_ABOVE = 0.05
"""AUROC. So much better than the score, and beyond its 95% interval, a term alone has to be."""
SHIFTED = 2.0
"""Standard deviations between the median of the test normals and the mean of the *select* normals."""
_MIN_NORMALS = 5  # of which a median tells something


class TermFound(NamedTuple):
    """A term and its value: an AUROC, or standard deviations."""

    name: str
    value: float


def better_term(summary: Summary) -> TermFound | None:
    """The term with the best AUROC, where it alone separates far better than the score."""
    if not summary.auroc_by_term:
        return None
    best = TermFound(*max(summary.auroc_by_term.items(), key=lambda item: item[1]))
    is_far = best.value > max(summary.image.auroc + FAR_ABOVE, summary.image.auroc_ci95[1])
    return best if is_far else None


def shifted_term(evaluation: Evaluation) -> TermFound | None:
    """The term of which the test normals are furthest from the *select* normals, where that is far."""
    normal, standardised = ~evaluation.images.labels, evaluation.images.standardised
    if normal.sum() < _MIN_NORMALS or not standardised:
        return None
    medians = {name: float(np.median(values[normal])) for name, values in standardised.items()}
    furthest = TermFound(*max(medians.items(), key=lambda item: abs(item[1])))
    return furthest if abs(furthest.value) > SHIFTED else None


def outlying_term(standardised: Mapping[str, float], outlying: float) -> TermFound | None:
    """The term of one image that lies furthest above the normals', where that is more than `outlying` deviations."""
    if not standardised:
        return None
    furthest = TermFound(*max(standardised.items(), key=lambda item: item[1]))
    return furthest if furthest.value > outlying else None


def passed_outliers(evaluation: Evaluation) -> dict[str, TermFound]:
    """By path, the images that are not called anomalous though one term is extreme; none without a threshold."""
    found: dict[str, TermFound] = {}
    images = evaluation.images
    for i, (path, score) in enumerate(zip(images.paths, images.scores.tolist(), strict=True)):
        standardised = {name: float(values[i]) for name, values in images.standardised.items()}
        term = outlying_term(standardised, evaluation.model.outlying)
        if term and evaluation.threshold is not None and not is_above(score, evaluation.threshold):
            found[path] = term
    return found
