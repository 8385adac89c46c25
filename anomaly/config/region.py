"""The region of interest as a recipe has it: the part of each picture that is evidence.

It is a text, so that manifests, exported folders and the service's answers carry it: a PNG of one bit a pixel, in
base64. It is laid over the whole picture, whatever the picture's size: a pixel is inside if the place of the region
below its centre is. Regions are bool (h, w), True inside, with sides of at most MAX_REGION_SIDE.
"""

import base64
import binascii
import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

MAX_REGION_SIDE = 512
OUTSIDE = 127  # mid-grey: the level of all pixels outside (see `data.preprocess`)

Inside = NDArray[np.bool_]


def encode_region(inside: Inside) -> str:
    """A region of any size as text, shrunk where a side is too long.

    A pixel that is kept is inside if any pixel that it stands for is: a region grows by less than one kept pixel.
    """
    height, width = inside.shape
    scale = min(1.0, MAX_REGION_SIDE / max(height, width))
    small = np.zeros((max(1, round(height * scale)), max(1, round(width * scale))), np.bool_)
    rows, columns = np.nonzero(inside)
    small[_nearest(height, small.shape[0])[rows], _nearest(width, small.shape[1])[columns]] = True
    file = io.BytesIO()
    Image.fromarray(small).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


@lru_cache(maxsize=16)
def decode_region(text: str) -> Inside:
    """The region in a text, read-only.

    Raises:
        ValueError: it is none, or nothing is inside.
    """
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as image:
            if image.mode != "1" or max(image.size) > MAX_REGION_SIDE:
                raise ValueError(f"it is of mode {image.mode} and {image.width} × {image.height} pixels")
            inside = np.array(image)
    except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # PIL has all but the first for broken files
        raise ValueError(
            f"a region is a PNG of one bit a pixel, of at most {MAX_REGION_SIDE} pixels a side, in base64; this is "
            f"none ({_reason(error)}): give the mask with --region"
        ) from error
    if not inside.any():
        raise ValueError("no pixel of the region is inside; give a mask that is not 0 on what counts")
    inside.flags.writeable = False
    return inside


def inside_of(text: str, height: int, width: int) -> Inside:
    """Which pixels of a picture of this size are inside: bool (height, width)."""
    return _stretched(decode_region(text), height, width)


def region_note(text: str | None) -> str | None:
    """A sentence on what counts; None without a region."""
    if text is None:
        return None
    share = decode_region(text).mean()
    amount = "less than 1%" if share < 0.01 else "more than 99%" if share > 0.99 else f"{share:.0%}"
    return f"{amount} of each picture is inside the region; what lies outside is never evidence"


def _reason(error: Exception) -> str:
    match error:
        case binascii.Error():
            return f"it is not base64: {error}"
        case UnidentifiedImageError():  # PIL's sentence is of the buffer that it was given
            return "it is not a PNG"
        case _:
            return str(error)


def _stretched(inside: Inside, height: int, width: int) -> Inside:
    rows, columns = _nearest(height, inside.shape[0]), _nearest(width, inside.shape[1])
    stretched: Inside = inside[rows[:, None], columns]
    return stretched


def _nearest(side: int, other: int) -> NDArray[np.intp]:
    """For each pixel of a side, the pixel below its centre on a side of another length, the same length laid over it.

    In whole numbers: PIL's own choice might depend on its version.
    """
    return (2 * np.arange(side, dtype=np.intp) + 1) * other // (2 * side)
