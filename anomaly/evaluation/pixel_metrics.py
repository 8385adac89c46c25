"""How well heatmaps point at the defects: pixel AUROC and AUPRO.

Heatmaps are float (h, w), finite, higher is more anomalous; masks are bool (h, w), True on the defect. Sizes agree
pairwise and may vary from image to image. Where `counted` masks are given, other pixels are as if they were not there.

Both measures are the area under a curve of "share of the defects found" over the false-positive rate, up to some rate.
They differ in what a defect pixel weighs: for pixel AUROC all weigh the same; for AUPRO (Bergmann et al. 2021,
section 4.2.2) all *regions* weigh the same, so that a large defect cannot hide a small missed one. The area is exact at
every threshold, and needs only the normal pixels sorted: a defect pixel of weight w and value v lifts the curve
by w from the rate g = share of normal pixels > v onwards, along a ramp as wide as the share e of normal pixels = v.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from anomaly.data import Mask
from anomaly.errors import DataError

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.int8)

Heatmap = NDArray[np.floating]


def pixel_auroc(heatmaps: Sequence[Heatmap], masks: Sequence[Mask], counted: Sequence[Mask] | None = None) -> float:
    """AUROC over all counted pixels of all images; raises DataError unless there are normal and defect pixels."""
    normal, defect = _split(heatmaps, masks, counted)
    weights = np.full(defect.size, 1 / defect.size)
    return _area(normal, defect, weights, max_fpr=1.0)


def aupro(
    heatmaps: Sequence[Heatmap],
    masks: Sequence[Mask],
    counted: Sequence[Mask] | None = None,
    *,
    max_fpr: float = 0.3,
) -> float:
    """Area under the per-region overlap, for false-positive rates up to `max_fpr` in (0, 1], as a share of `max_fpr`.

    A region is an 8-connected component of a mask. A perfect map reaches 1, a random one about `max_fpr` / 2. Raises
    DataError unless there are normal and defect pixels.
    """
    if not 0 < max_fpr <= 1:
        raise ValueError(f"max_fpr is {max_fpr}; it must lie in (0, 1]")
    normal, defect = _split(heatmaps, masks, counted)
    drawn = masks if counted is None else [mask & part for mask, part in zip(masks, counted, strict=True)]
    weights = np.concatenate([_region_weights(mask) for mask in drawn])
    return _area(normal, defect, weights / weights.sum(), max_fpr) / max_fpr


def _split(
    heatmaps: Sequence[Heatmap], masks: Sequence[Mask], counted: Sequence[Mask] | None
) -> tuple[Heatmap, Heatmap]:
    """Values of the normal pixels, sorted, and of the defect pixels, in order."""
    for i, (heatmap, mask) in enumerate(zip(heatmaps, masks, strict=True)):
        if heatmap.shape != mask.shape:
            raise ValueError(f"heatmap {i} is {heatmap.shape}, but its mask is {mask.shape}; they must agree")
        if not np.isfinite(heatmap).all():
            raise DataError(f"Heatmap {i} has values that are not finite; leave its image out of the evaluation.")
    parts: Sequence[Mask | np.bool_] = counted if counted is not None else [np.True_] * len(masks)
    triples = list(zip(heatmaps, masks, parts, strict=True))
    normal = np.concatenate([heatmap[~mask & part] for heatmap, mask, part in triples] or [np.empty(0)])
    defect = np.concatenate([heatmap[mask & part] for heatmap, mask, part in triples] or [np.empty(0)])
    if not normal.size or not defect.size:
        raise DataError(
            f"Of the pixels, the masks mark {defect.size:,} as defect and leave {normal.size:,} as normal, but pixel "
            "metrics need some of each. Give the masks of defective images, or a data set without masks."
        )
    normal.sort()
    return normal, defect


def _region_weights(mask: Mask) -> NDArray[np.float64]:
    """One over the size of its region, for each defect pixel in order."""
    region_of, _ = ndimage.label(mask, structure=EIGHT_NEIGHBOURS)
    regions = region_of[mask]
    return np.asarray(1 / np.bincount(regions)[regions], dtype=np.float64) if regions.size else np.empty(0)


def _area(normal: Heatmap, defect: Heatmap, weights: NDArray[np.float64], max_fpr: float) -> float:
    """Area below the curve up to `max_fpr`; the weights sum to 1."""
    num_below = np.searchsorted(normal, defect, side="left")
    num_not_above = np.searchsorted(normal, defect, side="right")
    g = 1 - num_not_above / normal.size
    e = (num_not_above - num_below) / normal.size
    on_ramp = np.clip(max_fpr - g, 0, e)
    past_ramp = np.clip(max_fpr - g - e, 0, None)
    ramp_area = np.divide(on_ramp**2, 2 * e, out=np.zeros_like(e), where=e > 0)
    return min(float(weights @ (ramp_area + past_ramp)), max_fpr)  # the weights' sum may round to above 1
