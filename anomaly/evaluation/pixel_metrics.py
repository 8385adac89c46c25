"""How well heatmaps point at the defects: pixel AUROC and AUPRO.

Heatmaps are float (h, w), finite, higher is more anomalous; masks are bool (h, w), True on the defect. Sizes agree
pairwise and may vary from image to image. Where `counted` masks are given, other pixels are as if they were not there.

Both measures are the area under a curve of "share of the defects found" over the false-positive rate, up to some rate.
They differ in what a defect pixel weighs: for pixel AUROC all weigh the same; for AUPRO (Bergmann et al. 2021,
section 4.2.2) all *regions* weigh the same, so that a large defect cannot hide a small missed one. The area is exact at
every threshold, and needs only the normal pixels counted: a defect pixel of weight w and value v lifts the curve
by w from the rate g = share of normal pixels > v onwards, along a ramp as wide as the share e of normal pixels = v.

So the pictures are looked at one at a time. A first pass collects the defect pixels, a second counts the normal pixels
at their values. Both measures are of the same passes.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from anomaly.data import Mask
from anomaly.errors import DataError

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.int8)
MAX_FPR = 0.3  # of AUPRO, unless told otherwise

_MOST_HELD = 2**24  # defect pixels collected at a time
_BLOCK = 2**20  # values looked at in one step

Heatmap = NDArray[np.floating]


class MarkedHeatmap(NamedTuple):
    """A heatmap, where the defects are, and which pixels count: all where `counted` is None."""

    heatmap: Heatmap
    mask: Mask
    counted: Mask | None = None


@dataclass(frozen=True)
class PixelMeasures:
    """AUROC over all counted pixels, and AUPRO: the area under the per-region overlap, as a share of `max_fpr`.

    A region is an 8-connected component of a mask. A perfect map has an AUPRO of 1, a random one about `max_fpr` / 2.
    """

    auroc: float
    aupro: float


def measure_pixels(pictures: Callable[[], Iterable[MarkedHeatmap]], *, max_fpr: float = MAX_FPR) -> PixelMeasures:
    """Both measures over all pictures; AUPRO for false-positive rates up to `max_fpr` in (0, 1].

    `pictures` gives the same pictures, in the same order, each time it is called. It is called twice, and once more for
    each further 16 million defect pixels. Beside the picture in hand, so many defect pixels are in memory, or those of
    one picture more, at about 40 bytes each. So memory does not grow with the number of pictures; masks that mark most
    of large pictures take time instead.

    Raises:
        DataError: there are no normal or no defect pixels, or a heatmap has values that are not finite.
    """
    if not 0 < max_fpr <= 1:
        raise ValueError(f"max_fpr is {max_fpr}; it must lie in (0, 1]")
    parts = list(map(partial(_found, pictures=pictures, max_fpr=max_fpr), _collected(pictures())))
    num_normal, num_defect = parts[0].num_normal, sum(part.num_defect for part in parts)
    if not num_normal or not num_defect:
        raise DataError(
            f"Of the pixels, the masks mark {num_defect:,} as defect and leave {num_normal:,} as normal, but pixel "
            "metrics need some of each. Give the masks of defective images, or a data set without masks."
        )
    auroc = sum(part.pixel_area for part in parts) / num_defect
    area = sum(part.region_area for part in parts) / sum(part.region_weight for part in parts)
    return PixelMeasures(min(auroc, 1.0), min(area, max_fpr) / max_fpr)  # sums of weights may round to above 1


class _Defects(NamedTuple):
    """Defect pixels by value: the distinct values, ascending, and of each the pixels and their regions' weight."""

    values: Heatmap
    nums: NDArray[np.int64]
    weights: NDArray[np.float64]


class _Found(NamedTuple):
    """What some of the defect pixels bring: the areas below their part of the two curves, and what they weigh."""

    num_normal: int
    num_defect: int
    pixel_area: float
    region_area: float
    region_weight: float


def _collected(pictures: Iterable[MarkedHeatmap]) -> Iterator[_Defects]:
    """The defect pixels of all pictures, in parts; at least one part, which may be empty."""
    values: list[Heatmap] = []
    weights: list[NDArray[np.float64]] = []
    num_held, is_first = 0, True
    for i, (heatmap, mask, counted) in enumerate(pictures):
        if heatmap.shape != mask.shape:
            raise ValueError(f"heatmap {i} is {heatmap.shape}, but its mask is {mask.shape}; they must agree")
        if not np.isfinite(heatmap).all():
            raise DataError(f"Heatmap {i} has values that are not finite; leave its image out of the evaluation.")
        drawn = mask if counted is None else mask & counted
        if drawn.any():
            values.append(heatmap[drawn])
            weights.append(_region_weights(drawn))
            num_held += values[-1].size
        if num_held >= _MOST_HELD:
            yield _by_value(values, weights)
            num_held, is_first = 0, False
    if values or is_first:
        yield _by_value(values, weights)


def _by_value(values: list[Heatmap], weights: list[NDArray[np.float64]]) -> _Defects:
    """The lists are emptied, lest all be in memory twice."""
    value = np.concatenate([np.empty(0, np.float32), *values])
    values.clear()
    weight = np.concatenate([np.empty(0), *weights])
    weights.clear()
    order = np.argsort(value, kind="stable")  # else the sum of equal values' weights might round differently
    value, weight = value[order], weight[order]
    del order
    firsts = _firsts(value)
    distinct_weights = np.add.reduceat(weight, firsts) if firsts.size else weight
    return _Defects(value[firsts], np.diff(firsts, append=value.size), distinct_weights)


def _region_weights(mask: Mask) -> NDArray[np.float64]:
    """One over the size of its region, for each defect pixel in order."""
    region_of, _ = ndimage.label(mask, structure=EIGHT_NEIGHBOURS)
    regions = region_of[mask]
    return np.asarray(1 / np.bincount(regions)[regions], dtype=np.float64)


def _found(defects: _Defects, pictures: Callable[[], Iterable[MarkedHeatmap]], max_fpr: float) -> _Found:
    num_not_above, num_equal, num_normal = _count_normals(defects.values, pictures())
    pixel_area = region_area = 0.0
    for start in range(0, defects.values.size if num_normal else 0, _BLOCK):
        block = slice(start, start + _BLOCK)
        g, e = 1 - num_not_above[block] / num_normal, num_equal[block] / num_normal
        pixel_area += float(defects.nums[block] @ _areas(g, e, 1.0))
        region_area += float(defects.weights[block] @ _areas(g, e, max_fpr))
    return _Found(num_normal, int(defects.nums.sum()), pixel_area, region_area, float(defects.weights.sum()))


def _count_normals(
    values: Heatmap, pictures: Iterable[MarkedHeatmap]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """How many normal pixels are not above, and how many equal to each value; and how many there are."""
    num_not_above, num_equal = np.zeros(values.size, np.int64), np.zeros(values.size, np.int64)
    num_normal = 0
    for heatmap, mask, counted in pictures:
        normal = heatmap[~mask if counted is None else ~mask & counted]
        num_normal += normal.size
        for start in range(0, normal.size if values.size else 0, _BLOCK):
            block = np.sort(normal[start : start + _BLOCK])
            block = block[: np.searchsorted(block, values[-1], side="right")]
            places = np.searchsorted(values, block)  # each is above the values before its place
            _add(places, num_not_above)
            _add(places[values[places] == block], num_equal)
    return np.cumsum(num_not_above, out=num_not_above), num_equal, num_normal


def _add(places: NDArray[np.intp], nums: NDArray[np.int64]) -> None:
    """One for each place; the places ascend."""
    firsts = _firsts(places)
    nums[places[firsts]] += np.diff(firsts, append=places.size)


def _firsts(ascending: NDArray[np.generic]) -> NDArray[np.intp]:
    """Where each distinct value begins."""
    return np.flatnonzero(np.concatenate([np.ones(min(1, ascending.size), np.bool_), ascending[1:] != ascending[:-1]]))


def _areas(g: NDArray[np.float64], e: NDArray[np.float64], max_fpr: float) -> NDArray[np.float64]:
    """What one of weight 1 adds below the curve, up to `max_fpr`."""
    on_ramp = np.clip(max_fpr - g, 0, e)
    past_ramp = np.clip(max_fpr - g - e, 0, None)
    return np.divide(on_ramp**2, 2 * e, out=np.zeros_like(e), where=e > 0) + past_ramp
