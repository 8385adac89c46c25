"""Decisions with a guarantee: conformal p-values from held-out normals, and the threshold for a false-alarm rate.

A normal image is as likely to take any rank among the calibration scores as any other, so its p-value is at most
alpha with probability at most alpha, whatever the detector. Higher scores are more anomalous.
Source: Bates et al. 2021, arXiv 2104.08279, eq. 2 and, for the p-value, eq. 3; Benjamini and Hochberg 1995 for the
false-discovery rate.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from numbers import Real
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from anomaly.counted import counted
from anomaly.errors import UsageError
from anomaly.shares import AS_SHARE

FloatArray = NDArray[np.float64]
_ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Relative: more than rounding adds to p · m/k or takes from q, and less than any two of these differ by."""
_CHANCE = 0.01  # on each side: how rare a number of false alarms must be to be told from chance


class Verdict(NamedTuple):
    """What is said of one score. `is_anomalous` is `p_value <= alpha`, or None where there is no threshold.

    Of NaN, the score of an image that could not be read, nothing is said: its p-value is NaN, and `is_anomalous` None.
    """

    p_value: float
    threshold: float | None
    is_anomalous: bool | None


@dataclass(frozen=True)
class Calibration:
    """`scores`: those of the *calibrate* normals, ascending (n_cal,)."""

    scores: FloatArray

    @classmethod
    def fit(cls, scores: FloatArray) -> "Calibration":
        """From the raw scores of normal images that nothing else has used."""
        return cls(np.sort(np.asarray(scores, dtype=np.float64)))

    @property
    def num_calibration(self) -> int:
        """n_cal."""
        return len(self.scores)

    @property
    def smallest_p(self) -> float:
        """1 / (n_cal + 1): the smallest p-value that there is, and the smallest alpha that has a threshold."""
        return 1 / (self.num_calibration + 1)

    def p_values(self, scores: FloatArray) -> FloatArray:
        """P = (1 + #{calibration scores ≥ s}) / (n_cal + 1), for each score; NaN for NaN."""
        num_below = np.searchsorted(self.scores, scores, side="left")
        p: FloatArray = (1 + self.num_calibration - num_below) / (self.num_calibration + 1)
        return np.where(np.isnan(scores), np.nan, p)

    def p_value(self, score: float) -> float:
        """The p-value of one score, without arrays: faster for a server, which judges scores one by one."""
        if math.isnan(score):
            return math.nan
        return (1 + self.num_calibration - bisect_left(self._ascending, score)) / (self.num_calibration + 1)

    @cached_property
    def _ascending(self) -> list[float]:
        scores: list[float] = self.scores.tolist()
        return scores

    def threshold(self, alpha: float) -> float | None:
        """The t that scores are above exactly where `p_value <= alpha`; None with too few normals for alpha.

        Raises:
            UsageError: `alpha` is no rate.
        """
        place = num_allowed(check_alpha(alpha), self.num_calibration)
        return self._ascending[-place] if place else None

    def judge(self, score: float, alpha: float) -> Verdict:
        """The decision about one score at the false-alarm rate `alpha`. What depends on alpha alone is cached.

        Raises:
            UsageError: `alpha` is no rate.
        """
        threshold = self.threshold(alpha)
        has_none = threshold is None or math.isnan(score)
        return Verdict(self.p_value(score), threshold, None if has_none else is_above(score, threshold))

    def shortage(self, alpha: float) -> str | None:
        """Why there is no threshold for this alpha, or None where there is one. Raises UsageError as `threshold`."""
        alpha = check_alpha(alpha)
        if num_allowed(alpha, self.num_calibration):
            return None
        return (
            f"no threshold: alpha = {alpha:g} needs at least {counted(num_needed(alpha), 'calibration image')} and "
            f"this model has {self.num_calibration}; run `anomaly calibrate` with more normal images, or choose a "
            "larger alpha"
        )


@overload
def is_above(scores: float, threshold: float | None) -> bool: ...


@overload
def is_above(scores: NDArray[np.floating], threshold: float | None) -> NDArray[np.bool_]: ...


def is_above(scores: float | NDArray[np.floating], threshold: float | None) -> bool | NDArray[np.bool_] | np.bool_:
    """Whether a score is called anomalous, or which of an array are: those above, strictly. Without a threshold none.

    This is the only place that decides so (beside the graph that `anomaly export` writes).
    """
    return scores > (math.inf if threshold is None else threshold)


def num_needed(alpha: float) -> int:
    """The smallest n_cal for which alpha has a threshold: n_cal ≥ 1/alpha − 1."""
    n = math.ceil(1 / Fraction(alpha)) - 1
    return n - 1 if num_allowed(alpha, n - 1) else n


def false_alarms_by_chance(alpha: float, num_calibration: int, num_images: int) -> tuple[int, int]:
    """The fewest and the most false alarms that chance explains, among normal images like the calibration images.

    The threshold is the K-th highest of n_cal calibration scores. So the share of normals above it has the distribution
    Beta(K, n_cal + 1 − K), and the false alarms among n normals are beta-binomial. Equal scores make them fewer.
    `alpha` must have a threshold (K ≥ 1), and the images must be drawn independently.
    Source: Vovk 2012, arXiv 1209.2673, proposition 2.
    """
    from scipy.stats import betabinom  # here, because it takes a second to import

    num_above = num_allowed(alpha, num_calibration)
    law = betabinom(num_images, num_above, num_calibration + 1 - num_above)
    return int(law.ppf(_CHANCE)), int(law.isf(_CHANCE))


def check_alpha(alpha: object) -> float:
    """`alpha` as a float, if it is a rate.

    Raises:
        UsageError: it is no number inside (0, 1).
    """
    return _check_share(alpha, "alpha is the false-alarm rate")


def check_fdr(fdr: object) -> float | None:
    """`fdr` as a float, if it is a share; None if it is not given.

    Raises:
        UsageError: it is no number inside (0, 1).
    """
    return None if fdr is None else _check_share(fdr, "fdr is the share of false alarms among the flagged")


def _check_share(value: object, what: str) -> float:
    if not isinstance(value, Real) or not 0.0 < float(value) < 1.0:
        raise UsageError(f"{what} and lies between 0 and 1: {AS_SHARE}; got {value!r}")
    return float(value)


def reject_fdr(p_values: FloatArray, q: float) -> NDArray[np.bool_]:
    """Benjamini–Hochberg: which of these images to flag so that the expected share of false ones is at most q.

    Exact ties count as within q, as they do in exact arithmetic: p_(k) = q·k/m is common among conformal p-values.
    """
    from scipy.stats import false_discovery_control  # here, because it takes a second to import

    return within_fdr(false_discovery_control(p_values), q)


def within_fdr(adjusted: FloatArray, q: float) -> NDArray[np.bool_]:
    """Which p-values, adjusted for the number of images as Benjamini and Hochberg do, are within q."""
    return np.asarray(adjusted <= _rounded_up(q), dtype=np.bool_)


def fdr_shortage(p_values: FloatArray, q: float, num_calibration: int) -> str | None:
    """Why too few calibration images keep `reject_fdr` from flagging any of these, or None where they do not.

    No p-value is below 1 / (n_cal + 1). With it, k of m images can be flagged only if it is at most q·k/m; k are those
    that have it, or, to be fair to a run without any, all m.
    """
    if reject_fdr(p_values, q).any():
        return None
    return fdr_shortage_of(len(p_values), int((p_values <= 1 / (num_calibration + 1)).sum()), q, num_calibration)


def fdr_shortage_of(num_images: int, num_extreme: int, q: float, num_calibration: int) -> str | None:
    """`fdr_shortage` of images of which none is flagged; `num_extreme` of them have the least p-value there is."""
    m, n = num_images, num_calibration
    k = num_extreme or m
    if not m or _can_flag(k, m, n, q):
        return None
    needed = math.ceil(m / (k * Fraction(q))) - 1
    if _can_flag(k, m, needed - 1, q):
        needed -= 1
    if num_extreme:
        why, more = f": {num_extreme} of {m} images outrank all {n} calibration images, and that", ""
    else:
        why = f", even if all {counted(m, 'image')} outranked all {counted(n, 'calibration image')}: that"
        more = ", and more if only some images are anomalous"
    return (
        f"none could be flagged at a false-discovery rate of {q:g}{why} needs at least {needed} calibration images "
        f"where this model has {n}{more}; run `anomaly calibrate` with more normal images, or choose a larger --fdr"
    )


def _can_flag(k: int, m: int, num_calibration: int, q: float) -> bool:
    """Whether k of m images are flagged that have the least p-value of all."""
    return 1 / (num_calibration + 1) * (m / k) <= _rounded_up(q)


def _rounded_up(q: float) -> float:
    return q * (1 + _ROUNDING)


@lru_cache
def num_allowed(alpha: float, num_calibration: int) -> int:
    """K: the K-th highest of the calibration scores is the threshold for alpha; 0 where there is none.

    It is the largest integer with K / (n_cal + 1) ≤ alpha: exactly, or as `p_values` rounds it (1/3 ≤ 0.333…).
    """
    k = math.floor(Fraction(alpha) * (num_calibration + 1))
    return k + 1 if (k + 1) / (num_calibration + 1) <= alpha else k
