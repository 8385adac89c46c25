"""What normals show at a place or anywhere, and how well evidence that is measured by it tells spoilt normals.

Shapes: evidence (k, h, w) of an image, of k kinds; where (h, w, 2), as shares of height and width.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate

from anomaly.networks.place_statistics import GRID, PlaceStatistics, strength

Way = Literal["place", "anywhere"]
WAYS: tuple[Way, ...] = ("place", "anywhere")
_LEAST_CLEARLY = 0.01
_ROUNDING = 1e-9  # AUROCs of n pairs are multiples of 1/n², and their differences often 1/n
_SHARED = 0.3  # of the deviation of all places, beside a place's own
_LEAST = 1e-3


def place_statistics(evidence: Sequence[Tensor], way: Way) -> PlaceStatistics:
    """From that of normal images, each of its own height and width."""
    first, second = torch.stack([_moments(each) for each in evidence]).mean(dim=0).chunk(2)
    overall = first.mean(dim=(1, 2), keepdim=True)
    variance = (second.mean(dim=(1, 2), keepdim=True) - overall.square()).clamp_min(_LEAST**2)
    statistics = PlaceStatistics(len(first))
    if way == "anywhere":
        statistics.mean, statistics.deviation = (each.expand_as(first).clone() for each in (overall, variance.sqrt()))
        return statistics
    smooth = avg_pool2d(torch.cat([first, second])[None], 3, stride=1, padding=1, count_include_pad=False)[0]
    mean, square = smooth.chunk(2)
    own = (square - mean.square()).clamp_min(0)
    statistics.mean, statistics.deviation = mean, (own + _SHARED**2 * variance).sqrt()
    return statistics


def clearly_better(num_pairs: int) -> float:
    """By how much an AUROC of so many normals, and the same spoilt, is: a point, and what one of them could change."""
    return max(_LEAST_CLEARLY, 1 / num_pairs)


def preferred(aurocs: Sequence[float], num_pairs: int) -> int:
    """The first, unless a later one is clearly better."""
    best = 0
    for number, auroc in enumerate(aurocs):
        if auroc - aurocs[best] >= clearly_better(num_pairs) - _ROUNDING:
            best = number
    return best


def halves_of(parts: Sequence[int]) -> list[int]:
    """The half, 0 or 1, of each image, by the number of the part that it shows.

    No part is in both, unless there is only one. The largest part is placed first, each where there are fewer images.
    So images that each show a part of their own alternate.
    """
    if len(set(parts)) == 1:
        return [number % 2 for number in range(len(parts))]
    sizes, half_of = [0, 0], {}
    for part, num in Counter(parts).most_common():
        half_of[part] = int(sizes[1] < sizes[0])
        sizes[half_of[part]] += num
    return [half_of[part] for part in parts]


def measured(
    own: Sequence[Tensor],
    spoilt: Sequence[Tensor],
    where: Sequence[Tensor],
    halves: Sequence[int],
    ways: Sequence[Way] = WAYS,
    *,
    by_half: bool = False,
) -> tuple[float, Way]:
    """AUROC, and the way that it is of: the preferred one of these; `halves`: `auroc_of`; `by_half`: `strength`."""
    aurocs = [auroc_of(own, spoilt, where, halves, way, by_half=by_half) for way in ways]
    best = preferred(aurocs, len(own))
    return aurocs[best], ways[best]


def auroc_of(
    own: Sequence[Tensor],
    spoilt: Sequence[Tensor],
    where: Sequence[Tensor],
    halves: Sequence[int],
    way: Way,
    *,
    by_half: bool,
) -> float:
    """How the strongest places tell normals from the same spoilt, each half judged by the other half's statistics."""
    labels, scores = [], []
    for half in (0, 1):
        statistics = place_statistics([each for each, of in zip(own, halves, strict=True) if of != half], way)
        judged = [trio for *trio, of in zip(own, spoilt, where, halves, strict=True) if of == half]
        peaks = [
            [float(strength(statistics(e[None], at), by_half=by_half).max()) for e in pair] for *pair, at in judged
        ]
        labels += [0, 1] * len(peaks)
        scores += [peak for pair in peaks for peak in pair]
    return float(roc_auc_score(labels, scores))


def _moments(evidence: Tensor) -> Tensor:
    """(k, h, w) → its mean and mean square over each cell of the grid: (2·k, GRID, GRID)."""
    both = torch.cat([evidence, evidence.square()])[None]
    if min(both.shape[2:]) >= GRID:
        return adaptive_avg_pool2d(both, GRID)[0]
    return interpolate(both, size=(GRID, GRID), mode="bilinear", align_corners=False)[0]
