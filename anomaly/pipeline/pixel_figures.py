"""What an evaluation's heatmaps reach at the defects, and of how many images the figures tell.

The mask of one image that cannot be used costs that image's part in the figures, and no other's.
"""

from collections.abc import Sequence
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


@dataclass(frozen=True)
class MasksRead:
    """The masks of samples by their place among them, those that cannot be used with the reason, and who has none."""

    masks: dict[int, Mask]
    failures: dict[int, str]
    without: tuple[int, ...]


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
    return MasksRead(masks, failures, tuple(without))


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
        num_outside=sum(bool(mask.any()) for mask in masks) - num_defects,
    )


def _open_or_error(sample: Sample, limits: Limits) -> Mask | str | None:
    try:
        return sample.open_mask(limits=limits)
    except ImageError as error:
        return str(error)
