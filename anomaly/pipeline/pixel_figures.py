"""What an evaluation's heatmaps reach at the defects, and of how many images the figures tell.

The mask of one image that cannot be used costs that image's part in the figures, and no other's. At full size there
are the heatmaps and masks of two or three images: those of all are kept as small as the model makes them, and packed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.config import PreprocessConfig
from anomaly.config.region import decode_region, inside_of
from anomaly.data import (
    Limits,
    Mask,
    PackedMask,
    PackedMasks,
    Sample,
    looks_inverted,
    map_ahead,
    restore_map,
)
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.errors import DataError, ImageError
from anomaly.evaluation import MarkedHeatmap, PixelFigures, measure_pixels

_FEWEST_OTHERS = 3  # masks beside which one can look wrong
_LITTLE = 0.25  # share of the picture
_LIKE = 2.0  # times the largest other defect


@dataclass(frozen=True)
class MasksRead:
    """The masks of samples by their place among them, those that cannot be used with the reason, and who has none.

    `inverted` are the places of masks that seem to be inverted, among others that are not. A mask is unpacked each time
    it is looked at.
    """

    masks: Mapping[int, Mask]
    failures: dict[int, str]
    without: tuple[int, ...]
    inverted: tuple[int, ...] = ()


@dataclass(frozen=True)
class _ReadMask:
    """A mask, and what tells an inverted one: the shares that it marks and leaves out, and that of the border."""

    packed: PackedMask
    share: float
    rest: float
    border_share: float
    looks_inverted: bool

    @classmethod
    def of(cls, mask: Mask) -> "_ReadMask":
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        return cls(
            PackedMask.pack(mask), float(mask.mean()), float((~mask).mean()), float(border.mean()), looks_inverted(mask)
        )


def read_masks(samples: Sequence[Sample], limits: Limits = DEFAULT_LIMITS) -> MasksRead | None:
    """The masks of all samples; None where the data set has none.

    Raises:
        DataError: every mask looks as if black were its defect and white its background.
    """
    if not any(sample.masked for sample in samples):
        return None
    masks: dict[int, _ReadMask] = {}
    failures: dict[int, str] = {}
    without: list[int] = []
    for row, mask in enumerate(map_ahead(partial(_open_or_error, limits=limits), samples, workers=limits.workers)):
        if isinstance(mask, str):
            failures[row] = mask
        elif mask is not None:
            masks[row] = mask
        else:
            without.append(row)
    drawn = {row: mask for row, mask in masks.items() if mask.share}
    if drawn and all(mask.looks_inverted for mask in drawn.values()):
        first = samples[next(iter(drawn))].masks[0]
        raise DataError(
            f"all {len(drawn)} masks of defects mark most of the picture with its four corners, and leave out what "
            f"lies in the middle, the first: {first}; expected 0 (black) on the background: invert the masks"
        )
    packed = PackedMasks({row: mask.packed for row, mask in masks.items()})
    return MasksRead(packed, failures, tuple(without), tuple(_inverted(drawn)))


def pixel_figures(
    heatmaps: Mapping[int, NDArray[np.float32]], samples: Sequence[Sample], read: MasksRead, config: PreprocessConfig
) -> PixelFigures:
    """Pixel AUROC and AUPRO at each image's own size, over the images whose mask is known, inside the region.

    `heatmaps` are those of these images, by their place among the samples, as the model makes them.
    """
    region = config.region
    counts = [_pixels_of(mask, region) for mask in read.masks.values()]
    num_seen = sum(count.num_seen > 0 for count in counts)
    can_measure = 0 < sum(count.num_seen for count in counts) < sum(count.num_counted for count in counts)
    measures = measure_pixels(lambda: _restored(heatmaps, read.masks, config)) if can_measure else None
    return PixelFigures(
        auroc=measures.auroc if measures else None,
        aupro=measures.aupro if measures else None,
        num_normal=len(counts) - num_seen,
        num_anomalous=num_seen,
        num_without=len(read.without),
        failures=[(samples[row].path, reason) for row, reason in read.failures.items()],
        region=None if region is None else float(decode_region(region).mean()),
        inverted=[str(path) for row in read.inverted for path in samples[row].masks],
        num_outside=sum(count.is_drawn for count in counts) - num_seen,
    )


class _MaskPixels(NamedTuple):
    """Whether a mask marks anything; the pixels of a defect that count, and all that count."""

    is_drawn: bool
    num_seen: int
    num_counted: int


def _pixels_of(mask: Mask, region: str | None) -> _MaskPixels:
    if region is None:
        return _MaskPixels(bool(mask.any()), int(mask.sum()), mask.size)
    inside = inside_of(region, *mask.shape)
    return _MaskPixels(bool(mask.any()), int((mask & inside).sum()), int(inside.sum()))


def _restored(
    heatmaps: Mapping[int, NDArray[np.float32]], masks: Mapping[int, Mask], config: PreprocessConfig
) -> Iterator[MarkedHeatmap]:
    """Each heatmap at its image's own size, with its mask."""
    for row, heatmap in heatmaps.items():
        mask = masks[row]
        inside = None if config.region is None else inside_of(config.region, *mask.shape)
        yield MarkedHeatmap(restore_map(heatmap, config, *mask.shape), mask, inside)


def _inverted(drawn: Mapping[int, _ReadMask]) -> list[int]:
    """The places of masks that seem to be inverted, where others are not; `drawn` are those of defects.

    Such a mask fills the four corners, most of the picture and most of its border, while most of the others cover
    little, and what it leaves out is no larger than twice the largest other defect. There may be many, as all masks of
    one kind are where it was drawn in another program. A real defect of that size is rare: none of the 491 masks of
    MVTec's bottles and transistors and of the magnetic tiles looks so.
    """
    found = [row for row, mask in drawn.items() if mask.looks_inverted and mask.border_share > 0.5]
    others = [mask.share for row, mask in drawn.items() if row not in found]
    if not found or len(others) < _FEWEST_OTHERS or np.median(others) > _LITTLE:
        return []
    return [row for row in found if drawn[row].rest <= _LIKE * max(others)]


def _open_or_error(sample: Sample, limits: Limits) -> _ReadMask | str | None:
    try:
        mask = sample.open_mask(limits=limits)
    except ImageError as error:
        return str(error)
    return None if mask is None else _ReadMask.of(mask)
