"""Pictures in answers: PNG files in base64. Shapes: c channels, h height, w width."""

import base64

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.data import png_bytes, to_channels_last, to_pixels

ROWS = 256
"""Drawn at a time."""


def draw_heatmap(heatmap: NDArray[np.float32]) -> str:
    """A heatmap (h, w) as 8-bit grey: 0 for 0 and below, 255 for 1 and above."""
    pixels = np.empty(heatmap.shape, np.uint8)
    for top in range(0, len(heatmap), ROWS):  # a large map is not copied as floats
        rows = slice(top, top + ROWS)
        pixels[rows] = np.rint(np.clip(heatmap[rows], 0.0, 1.0) * 255)
    return _png(pixels)


def draw_image(x: NDArray[np.float32]) -> str:
    """An image (c, h, w) in [-1, 1], grey or colour."""
    return _png(to_channels_last(to_pixels(x)))


def _png(pixels: NDArray[np.uint8]) -> str:
    return base64.b64encode(png_bytes(Image.fromarray(pixels))).decode("ascii")
