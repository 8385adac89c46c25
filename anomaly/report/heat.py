"""The one way in which heatmaps are drawn: colours over the darkened image, and the legend that says how to read them.

A heatmap is in multiples of what normal images show: NORMAL_PEAK is the strongest place of an ordinary normal image.
Up to there nothing is drawn. From there to four times that, where the scale ends, equal steps of colour are equal
factors. The colours are matplotlib's `plasma` without its darkest quarter: from purple over orange to yellow. Their
lightness rises evenly, so that the colour-blind can read them, and none of them is a grey that an image could have.
"""

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.scoring.heatmap import NORMAL_PEAK

COLOUR_MAP, FIRST_COLOUR = "plasma", 0.25
HOTTEST = 4 * NORMAL_PEAK
MOST_OPAQUE = 0.9
DIMMED = 0.6  # what is left of the image's brightness, so that heat is seen on white too
LEGEND = ("as normals", "far from normal")
"""What stands before and behind the legend's bar."""
_GREY = 128
_ROWS = 64  # drawn at a time

Rgb = NDArray[np.uint8]


def overlay(image: Rgb, heatmap: NDArray[np.floating]) -> Rgb:
    """A heatmap (h, w) over an image (h, w, 3)."""
    drawn = np.empty_like(image)
    for top in range(0, len(image), _ROWS):  # as one it would take 85 bytes a pixel
        rows = slice(top, top + _ROWS)
        drawn[rows] = _overlay(image[rows], heatmap[rows])
    return drawn


def _overlay(image: Rgb, heatmap: NDArray[np.floating]) -> Rgb:
    heat = np.log(heatmap.clip(NORMAL_PEAK, HOTTEST) / NORMAL_PEAK) / np.log(HOTTEST / NORMAL_PEAK)
    colours = matplotlib.colormaps[COLOUR_MAP](FIRST_COLOUR + (1 - FIRST_COLOUR) * heat)[..., :3] * 255
    opacity = np.minimum(MOST_OPAQUE, 1.4 * np.sqrt(heat))[..., None]
    blended: Rgb = np.rint(DIMMED * image * (1 - opacity) + colours * opacity).astype(np.uint8)
    return blended


def fitted(heatmap: NDArray[np.floating], height: int, width: int) -> NDArray[np.float32]:
    """A heatmap at another size. In a smaller one each pixel is the hottest of those that it covers.

    Their mean would be as of a normal image where a place is small beside the picture.
    """
    hottest = heatmap.astype(np.float32)
    for axis, num in enumerate((height, width)):
        if num < hottest.shape[axis]:
            hottest = np.maximum.reduceat(hottest, np.arange(num) * hottest.shape[axis] // num, axis=axis)
    if hottest.shape == (height, width):
        return hottest
    return np.asarray(Image.fromarray(hottest).resize((width, height), Image.Resampling.BILINEAR))


def legend_bar(width: int, height: int) -> Rgb:
    """All heats of the scale as they are drawn over grey: (height, width, 3)."""
    heat = np.broadcast_to(np.geomspace(NORMAL_PEAK, HOTTEST, width), (height, width))
    return overlay(np.full((height, width, 3), _GREY, np.uint8), heat)
