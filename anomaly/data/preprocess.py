"""The one preprocessing: any image to `channels` × `size` × `size` 8-bit pixels, and a map of that size back again.

Everything that trains, scores, serves or measures calls `preprocess` with the configuration of the bundle (law 3), so
an image has one set of pixels however it came.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.config import PreprocessConfig, Resize
from anomaly.data.decode import Pixels, to_image

_BILINEAR = Image.Resampling.BILINEAR  # PIL widens its kernel when it reduces, so this is antialiased


class _Geometry(NamedTuple):
    """The part `seen` of the original (left, top, right, bottom), and the `place` it takes in the square."""

    seen: tuple[int, int, int, int]
    place: tuple[int, int, int, int]


def preprocess(image: Image.Image | Pixels, config: PreprocessConfig) -> Pixels:
    """An image as uint8 of shape (channels, size, size), C-contiguous.

    Colour becomes grey by ITU-R BT.601 luma, grey becomes colour by repetition. An image that already has the right
    size and channels passes bit-identical.

    Raises:
        ImageError: see `to_image`.
    """
    picture = to_image(image)
    if config.channels == 1 and picture.mode == "RGB":
        picture = picture.convert("L")
    geometry = _geometry(picture.height, picture.width, config)
    left, top, right, bottom = geometry.place
    scaled = np.asarray(picture.resize((right - left, bottom - top), _BILINEAR, box=geometry.seen))
    return _to_channels_first(_repeat_edges(scaled, left, top, config.size), config.channels)


def restore_map(heatmap: NDArray[np.float32], config: PreprocessConfig, height: int, width: int) -> NDArray[np.float32]:
    """A float32 map of shape (size, size), laid over the original image: float32 of shape (height, width).

    What padding added is dropped; what cropping left unseen is 0.
    """
    geometry = _geometry(height, width, config)
    left, top, right, bottom = geometry.seen
    seen = Image.fromarray(heatmap).resize((right - left, bottom - top), _BILINEAR, box=geometry.place)
    restored = np.zeros((height, width), np.float32)
    restored[top:bottom, left:right] = np.asarray(seen)
    return restored


def _geometry(height: int, width: int, config: PreprocessConfig) -> _Geometry:
    size = config.size
    match config.resize:
        case Resize.STRETCH:
            return _Geometry(seen=(0, 0, width, height), place=(0, 0, size, size))
        case Resize.CROP:
            return _Geometry(
                seen=_centred(min(height, width), min(height, width), width, height), place=(0, 0, size, size)
            )
        case Resize.PAD:
            long = max(height, width)
            scaled_width, scaled_height = (max(1, round(side * size / long)) for side in (width, height))
            return _Geometry(seen=(0, 0, width, height), place=_centred(scaled_width, scaled_height, size, size))


def _centred(inner_width: int, inner_height: int, width: int, height: int) -> tuple[int, int, int, int]:
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    return left, top, left + inner_width, top + inner_height


def _repeat_edges(array: Pixels, left: int, top: int, size: int) -> Pixels:
    """Fills a square of `size` around an array placed at (`left`, `top`) with its nearest edge pixels."""
    height, width = array.shape[:2]
    if height < size:
        array = array[np.clip(np.arange(size) - top, 0, height - 1)]
    if width < size:
        array = array[:, np.clip(np.arange(size) - left, 0, width - 1)]
    return array


def _to_channels_first(array: Pixels, channels: int) -> Pixels:
    if array.ndim == 2:
        return np.repeat(array[np.newaxis], channels, axis=0)
    return np.ascontiguousarray(array.transpose(2, 0, 1))
