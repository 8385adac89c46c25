"""8-bit pixels as networks see them, and back again, to the layout of pictures. Torch has `runtime.to_float`.

For numpy alone: an exported folder may have a copy of this file.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_floats(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """8-bit pixels as floats in [-1, 1]; any shape."""
    x = pixels.astype(np.float32)
    x /= np.float32(127.5)
    x -= np.float32(1.0)
    return x


def to_pixels(x: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """What networks make, in [-1, 1], as 8 bits: rounded, and what lies beyond as the nearest end; any shape."""
    pixels: NDArray[np.uint8] = np.rint((x + 1) * 127.5).clip(0, 255).astype(np.uint8)
    return pixels


def to_channels_last(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels (c, h, w) in the layout of pictures: (h, w, c), or (h, w) where there is one channel."""
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
