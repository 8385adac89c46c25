"""95% intervals of an AUROC, and of how far one AUROC lies above another on the same images.

They speak of other test images, or of other parts, not of other training runs. All follows from the placements: of each
image the share of the other class's images that it is ranked rightly against, a tie counting one half. The AUROC is
their mean, over the normals as over the anomalies. Its variance is that of these means over independent units, which
are the images, or the parts where several images show one (DeLong et al. 1988, Biometrics 44, 837–845; with units:
Obuchowski 1997, Biometrics 53, 567–578). Few units are allowed for by Student's t (Satterthwaite's degrees of freedom).
Where parts have unlike numbers of pictures, a few of them may decide the AUROC: then as many units count as there would
be of equal ones that make it as sure, (Σ pictures)² / Σ pictures² (Kish 1965, Survey Sampling).

That variance is too small, by chance, where few anomalies happen to be ranked nearly perfectly. So the interval of one
AUROC is the wider one, at either end, of that by placements, on the logit scale, and of Newcombe's method 5 (2006,
Statistics in Medicine 25, 559–573), whose variance follows from the AUROC and the numbers alone (Hanley and McNeil
1982). Where all pairs are ranked alike, the exact interval of Clopper and Pearson stands in for the first.

For the same reason the variance of a lead is too small where both rank nearly perfectly: of two that make no mistake it
is 0. So an end that does not show a lead is the further one of two: that by placements, and that by the intervals of
both, as of independent ones (Zou and Donner 2008, Statistics in Medicine 27, 1693–1702).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaincinv, expit, logit
from scipy.stats import norm, t

_TAIL = 0.025
_Z = float(norm.isf(_TAIL))

FloatArray = NDArray[np.float64]
Labels = NDArray[np.bool_]
Interval = tuple[float, float]


def auroc_interval(found: float, placed: FloatArray, labels: Labels, parts: Sequence[str] | None = None) -> Interval:
    """The interval of an AUROC; `placed` (n,) are its placements, `parts` (n,) as `image_metrics` takes them."""
    spread = _spread(placed - found, labels, parts)
    if found in (0.0, 1.0):
        return _exact(found, spread.num_pairs)
    fewest = min(spread.num_normal, spread.num_anomalous)
    if fewest < 2:
        return _exact(found, 1)  # of one unit nothing tells how others differ
    assumed = _assumed(found, spread.num_normal, spread.num_anomalous)
    if spread.variance > 0:
        half = spread.quantile * np.sqrt(spread.variance) / (found * (1 - found))
        own = float(expit(logit(found) - half)), float(expit(logit(found) + half))
    else:
        own = _exact(found, fewest)
    return min(own[0], assumed[0]), max(own[1], assumed[1])


def lead_interval(
    aurocs: tuple[float, float],
    placed: tuple[FloatArray, FloatArray],
    labels: Labels,
    parts: Sequence[str] | None = None,
) -> Interval:
    """The interval of the first AUROC's lead over the second; `placed` (n,) are the placements of both.

    To its variance each class adds a unit that shows no lead. Else few units that happen to agree would prove one.
    """
    lead, difference = aurocs[0] - aurocs[1], placed[0] - placed[1]
    spread = _spread(difference - lead, labels, parts, unlike=lead)
    if min(spread.num_normal, spread.num_anomalous) < 2:
        return -1.0, 1.0
    half = spread.quantile * float(np.sqrt(spread.variance))
    own, other = (auroc_interval(found, each, labels, parts) for found, each in zip(aurocs, placed, strict=True))
    low = _beyond(lead - half, lead - float(np.hypot(aurocs[0] - own[0], other[1] - aurocs[1])))
    high = -_beyond(-lead - half, -lead - float(np.hypot(own[1] - aurocs[0], aurocs[1] - other[0])))
    return max(low, -1.0), min(high, 1.0)


def _beyond(low: float, far: float) -> float:
    """The lower end of a lead. Above 0 it shows the lead; else it shows nothing, and is the further off of two."""
    return low if low > 0 else min(low, far)


def placements(scores: NDArray[np.floating], labels: Labels) -> FloatArray:
    """The share of the other class's images that lie on the right side of each image; a tie counts one half."""
    placed = np.empty(len(scores))
    normal, anomalous = np.sort(scores[~labels]), np.sort(scores[labels])
    placed[labels] = _share_below(normal, scores[labels])
    placed[~labels] = 1 - _share_below(anomalous, scores[~labels])
    return placed


def _share_below(rising: NDArray[np.floating], scores: NDArray[np.floating]) -> FloatArray:
    places = np.searchsorted(rising, scores, side="left") + np.searchsorted(rising, scores, side="right")
    share: FloatArray = places / (2 * len(rising))
    return share


class _Spread(NamedTuple):
    """Of a difference of means: its variance, the quantile of Student's t, and how many units each class has.

    `num_normal` and `num_anomalous` count as many as there would be of equal ones. `num_pairs` is the number of units
    of the smaller class, whatever their sizes: so many pairs share no unit.
    """

    variance: float
    quantile: float
    num_normal: float
    num_anomalous: float
    num_pairs: int


def _spread(deviations: FloatArray, labels: Labels, parts: Sequence[str] | None, unlike: float = 0.0) -> _Spread:
    """Of placements less their mean. A unit with images of both classes counts in both, and for their covariance.

    `unlike` is the deviation of a further unit of each class, of the usual size.
    """
    units = _units(len(labels), parts)
    sums, variances, nums, counts = [], [], [], []
    for own in (~labels, labels):
        shares = np.bincount(units[own], minlength=len(labels)) / own.sum()
        sums.append(np.bincount(units[own], weights=deviations[own], minlength=len(labels)) / own.sum())
        evenness = float(np.square(shares).sum())
        is_there = shares > 0
        left = 1 - 2 * shares[is_there] + evenness  # a square is smaller by this factor: the unit is part of the mean
        nums.append(1 / evenness)
        counts.append(int(is_there.sum()))
        if counts[-1] < 2:
            variances.append(0.0)
            continue
        squares = float((np.square(sums[-1][is_there]) / left).sum())
        variances.append(squares + (unlike * evenness) ** 2 / (1 - evenness))
    together = sum(variances)
    if not together:
        return _Spread(0.0, _Z, nums[0], nums[1], min(counts))
    freedom = together**2 / sum(each**2 / max(num - 1, 1) for each, num in zip(variances, nums, strict=True))
    variance = max(together + 2 * float(sums[0] @ sums[1]), 0.0)
    return _Spread(variance, float(t.isf(_TAIL, freedom)), nums[0], nums[1], min(counts))


def _units(num: int, parts: Sequence[str] | None) -> NDArray[np.intp]:
    """The number of each image's unit; an image of no part is one by itself."""
    if parts is None:
        return np.arange(num)
    named = [(part, -1) if part else ("", row) for row, part in enumerate(parts)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(named))}
    return np.array([numbers[name] for name in named])


def _assumed(share: float, num_normal: float, num_anomalous: float) -> Interval:
    """Where the AUROC lies at most 1.96 of its own standard errors from `share`, by Hanley and McNeil's variance."""
    mean = (num_normal + num_anomalous) / 2

    def beyond(true: float) -> float:
        more = 1 + (mean - 1) * ((1 - true) / (2 - true) + true / (1 + true))
        return (share - true) ** 2 - _Z**2 * true * (1 - true) * more / (num_normal * num_anomalous)

    low = float(brentq(beyond, 0.0, share)) if 0 < share < 1 else share
    high = float(brentq(beyond, share, 1.0)) if 0 < share < 1 else share
    return low, high


def _exact(share: float, num_pairs: float) -> Interval:
    """The interval of Clopper and Pearson (1934) for an AUROC, as a share of `num_pairs` independent pairs.

    `num_pairs` is the size of the smaller class: so many pairs of a normal and an anomaly share no image. If all
    normals lie below all anomalies, each of these pairs is ranked rightly, which has at most the probability
    AUROC^num_pairs, whatever the distributions. So the lower end 0.025^(1/num_pairs) for an AUROC of 1 holds for few
    images, too. Source: Obuchowski and Lieber 2002, Academic Radiology 9, 526–530.
    """
    right, wrong = share * num_pairs, (1 - share) * num_pairs
    low = float(betaincinv(right, wrong + 1, _TAIL)) if share > 0 else 0.0
    high = float(betaincinv(right + 1, wrong, 1 - _TAIL)) if share < 1 else 1.0
    return low, high
