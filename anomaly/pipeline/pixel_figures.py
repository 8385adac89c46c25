"""What an evaluation's heatmaps reach at the defects, and of how many images the figures tell.

The mask of one image that cannot be used costs that image's part in the figures, and no other's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from anomaly.config.region import decode_region, inside_of
from anomaly.data import Limits, Mask, PixelsOfImages, Sample, looks_inverted, map_ahead, restore_map, take
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.errors import DataError, ImageError
from anomaly.evaluation import PixelFigures, aupro, pixel_auroc
from anomaly.inference import Detector, Evidence

_CHUNK = 256
_FEWEST_OTHERS = 3  # masks beside which one can look wrong
_MOST_ALIKE = 0.1  # of the other masks may look inverted as well: else defects may be so
_LITTLE = 0.25  # share of the picture
_LIKE = 2.0  # times the largest other defect


@dataclass(frozen=True)
class MasksRead:
    """The masks of samples by their place among them, those that cannot be used with the reason, and who has none.

    `inverted` are the places of masks that seem to be inverted, among others that are not.
    """

    masks: dict[int, Mask]
    failures: dict[int, str]
    without: tuple[int, ...]
    inverted: tuple[int, ...] = ()


def read_masks(samples: Sequence[Sample], limits: Limits = DEFAULT_LIMITS) -> MasksRead | None:
    """The masks of all samples; None where the data set has none.

    Raises:
        DataError: every mask looks as if black were its defect and white its background.
    """
    if not any(sample.masked for sample in samples):
        return None
    masks: dict[int, Mask] = {}
    failures: dict[int, str] = {}
    without: list[int] = []
    for row, mask in enumerate(map_ahead(partial(_open_or_error, limits=limits), samples, workers=limits.workers)):
        if isinstance(mask, str):
            failures[row] = mask
        elif mask is not None:
            masks[row] = mask
        else:
            without.append(row)
    drawn = [mask for mask in masks.values() if mask.any()]
    if drawn and all(map(looks_inverted, drawn)):
        first = next(samples[row].masks[0] for row, mask in masks.items() if mask.any())
        raise DataError(
            f"all {len(drawn)} masks of defects mark most of the picture with its four corners, and leave out what "
            f"lies in the middle, the first: {first}; expected 0 (black) on the background: invert the masks"
        )
    return MasksRead(masks, failures, tuple(without), tuple(_inverted(masks)))


def pixel_figures(
    detector: Detector, samples: Sequence[Sample], pixels: PixelsOfImages, evidence: Evidence, read: MasksRead
) -> PixelFigures:
    """Pixel AUROC and AUPRO at each image's own size, over the images whose mask is known, inside the region."""
    rows = list(read.masks)
    heatmaps: list[NDArray[np.float32]] = []
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        heat = detector.explain(take(pixels, part), evidence.z_hat[part]).heatmap
        heatmaps += [
            restore_map(heatmap, detector.preprocess, *read.masks[row].shape)
            for row, heatmap in zip(part, heat, strict=True)
        ]
    masks = [read.masks[row] for row in rows]
    region = detector.preprocess.region
    counted = None if region is None else [inside_of(region, *mask.shape) for mask in masks]
    seen = masks if counted is None else [mask & inside for mask, inside in zip(masks, counted, strict=True)]
    num_defects = sum(bool(mask.any()) for mask in seen)
    num_counted = sum(int(mask.size if counted is None else counted[i].sum()) for i, mask in enumerate(masks))
    can_measure = num_defects > 0 and sum(int(mask.sum()) for mask in seen) < num_counted
    return PixelFigures(
        auroc=pixel_auroc(heatmaps, masks, counted) if can_measure else None,
        aupro=aupro(heatmaps, masks, counted) if can_measure else None,
        num_normal=len(masks) - num_defects,
        num_anomalous=num_defects,
        num_without=len(read.without),
        failures=[(samples[row].path, reason) for row, reason in read.failures.items()],
        region=None if region is None else float(decode_region(region).mean()),
        inverted=[str(path) for row in read.inverted for path in samples[row].masks],
        num_outside=sum(bool(mask.any()) for mask in masks) - num_defects,
    )


def _inverted(masks: Mapping[int, Mask]) -> list[int]:
    """The places of masks that seem to be inverted, where nearly all others are not.

    Such a mask fills the four corners, most of the picture and most of its border, while most of the others cover
    little, and what it leaves out is no larger than twice the largest other defect. A real defect of that size is
    rare: none of the 491 masks of MVTec's bottles and transistors and of the magnetic tiles looks so.
    """
    drawn = {row: mask for row, mask in masks.items() if mask.any()}
    found = [row for row, mask in drawn.items() if looks_inverted(mask) and _border_share(mask) > 0.5]
    others = [float(mask.mean()) for row, mask in drawn.items() if row not in found]
    if not found or len(others) < _FEWEST_OTHERS or len(found) - 1 >= _MOST_ALIKE * (len(drawn) - 1):
        return []
    if np.median(others) > _LITTLE:
        return []
    return [row for row in found if (~drawn[row]).mean() <= _LIKE * max(others)]


def _border_share(mask: Mask) -> float:
    return float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean())


def _open_or_error(sample: Sample, limits: Limits) -> Mask | str | None:
    try:
        return sample.open_mask(limits=limits)
    except ImageError as error:
        return str(error)
