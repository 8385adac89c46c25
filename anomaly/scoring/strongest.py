"""The strongest place of a heatmap, as a box: it can be drawn over any picture, whatever colours the heatmap has."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.heatmap import NORMAL_PEAK


@dataclass(frozen=True)
class StrongestPlace:
    """A box in the heatmap's pixels: its upper left corner, and its sides of at least one pixel.

    `strength` is the heatmap's maximum in multiples of what the strongest place of an ordinary normal image has.
    """

    x: int
    y: int
    width: int
    height: int
    strength: float


def strongest_place(heatmap: NDArray[np.floating]) -> StrongestPlace | None:
    """The box around the connected pixels about the maximum that lie above half of it.

    None where all are equal, and for the map of an image that could not be read, which is NaN.

    Half is half way from the map's median to its maximum. So a map that is high everywhere has a small box too. Pixels
    that touch at a corner are connected. Of several places with the same maximum it is the first by rows.

    Shape: heatmap (h, w), finite or all NaN, higher is more anomalous.
    """
    from scipy import ndimage  # here, because who draws no place need not wait for it

    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    peak = float(heatmap[row, column])
    if math.isnan(peak) or peak == heatmap.min():
        return None
    level = (float(np.median(heatmap)) + peak) / 2
    regions, _ = ndimage.label(heatmap >= level, structure=np.ones((3, 3)))
    region = regions == regions[row, column]
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return StrongestPlace(
        x=int(columns[0]),
        y=int(rows[0]),
        width=int(columns[-1] - columns[0]) + 1,
        height=int(rows[-1] - rows[0]) + 1,
        strength=peak / NORMAL_PEAK,
    )
