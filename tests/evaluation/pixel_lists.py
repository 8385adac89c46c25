"""The measures of pixels, of heatmaps and masks in lists; `counted` masks as `MarkedHeatmap` has them."""

from collections.abc import Sequence

from anomaly.data import Mask
from anomaly.evaluation.pixel_metrics import MAX_FPR, Heatmap, MarkedHeatmap, PixelMeasures, measure_pixels


def pixel_auroc(heatmaps: Sequence[Heatmap], masks: Sequence[Mask], counted: Sequence[Mask] | None = None) -> float:
    return _measured(heatmaps, masks, counted, MAX_FPR).auroc


def aupro(
    heatmaps: Sequence[Heatmap],
    masks: Sequence[Mask],
    counted: Sequence[Mask] | None = None,
    *,
    max_fpr: float = MAX_FPR,
) -> float:
    return _measured(heatmaps, masks, counted, max_fpr).aupro


def _measured(
    heatmaps: Sequence[Heatmap], masks: Sequence[Mask], counted: Sequence[Mask] | None, max_fpr: float
) -> PixelMeasures:
    parts = [None] * len(masks) if counted is None else counted
    pictures = [MarkedHeatmap(*each) for each in zip(heatmaps, masks, parts, strict=True)]
    return measure_pixels(lambda: pictures, max_fpr=max_fpr)
