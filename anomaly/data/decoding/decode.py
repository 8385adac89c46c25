"""From bytes to pixels, safely: formats by allow-list, sizes checked before anything is decoded, every error named.

Decoding is thread-safe, changes none of PIL's settings, and reads only the first frame of animations and the first page
of documents.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.data.decoding.appearance import Seen, see
from anomaly.data.decoding.formats import look_at_bytes, may_need_range, naming, open_prepared, peak_of, recognise
from anomaly.data.decoding.limits import DEFAULT_LIMITS, Limits, bytes_of, head_of
from anomaly.data.decoding.ranges import FULL_RANGE
from anomaly.errors import ImageError

Pixels = NDArray[np.uint8]


def decode(
    source: Path | bytes, *, name: str, limits: Limits = DEFAULT_LIMITS, value_range: int = FULL_RANGE
) -> Image.Image:
    """The picture in a file or in bytes as a person sees it (see `appearance`): mode "L" or "RGB", no metadata.

    The format is recognised by content, never by suffix. `name` is what error messages call the image; `value_range`
    is the number of bits that pictures of 16 bits use (see `ranges`).

    Raises:
        ImageTooLargeError: more bytes or pixels than `limits` allow.
        UnsupportedFormatError: not one of the accepted formats, or pixels without a fixed range.
        UndecodableImageError: an accepted format, but empty, truncated or damaged.
        ValueRangeError: values beyond the range.
        ImageError: the file cannot be read.
    """
    return look(source, name=name, limits=limits, value_range=value_range).image


def look(source: Path | bytes, *, name: str, limits: Limits = DEFAULT_LIMITS, value_range: int = FULL_RANGE) -> Seen:
    """The picture that `decode` gives, with what else is to be said of the file. Raises as that does."""
    return look_at_bytes(bytes_of(source, name, limits), name, limits, value_range)


def measure(source: Path | bytes, *, name: str, limits: Limits = DEFAULT_LIMITS) -> int | None:
    """The largest value of a picture of 16 bits; None for a picture whose file says which value is white.

    Pictures of 8 bits are told by their first bytes. Raises ImageError.
    """
    if not may_need_range(head_of(source, name), name):
        return None
    return peak_of(bytes_of(source, name, limits), name, limits)


def side_lengths(data: bytes, limits: Limits) -> tuple[int, int]:
    """Width and height as the file says them; nothing is decoded. Raises ImageError."""
    name = "the image"
    with naming(name), open_prepared(data, recognise(data, name), name, limits) as image:
        return image.size


def to_image(image: Image.Image | Pixels, *, name: str = "", value_range: int = FULL_RANGE) -> Image.Image:
    """A PIL image or an array as a PIL image of mode "L" or "RGB"; see `look_at_image`."""
    return look_at_image(image, name=name, value_range=value_range).image


def look_at_image(image: Image.Image | Pixels, *, name: str = "", value_range: int = FULL_RANGE) -> Seen:
    """A PIL image or an array as a person sees it.

    Arrays may be (h, w), (h, w, 1), (h, w, 3) in RGB order, or (h, w, 4) with an alpha channel. `name` is what error
    messages call the image; by default that of the file that PIL opened, if there is one.

    Raises:
        ImageError: an array of another dtype or shape, an image that PIL cannot load or that has no pixels, or an
            object of another type.
    """
    name = name or str(getattr(image, "filename", "")) or "the image"
    if not isinstance(image, Image.Image):
        _check_array(image, name)
        image = Image.fromarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    if 0 in image.size:
        raise ImageError(f"{name}: has {image.width} × {image.height} pixels; expected at least one")
    with naming(name):
        return see(image, name=name, value_range=value_range)


def to_array(image: Image.Image | Pixels, *, name: str = "") -> Pixels:
    """What `to_image` gives, as uint8 pixels of shape (h, w), or (h, w, 3) in RGB order."""
    return np.array(to_image(image, name=name))


def _check_array(array: object, name: str) -> None:
    if not isinstance(array, np.ndarray):
        raise ImageError(
            f"{name}: is of the type {type(array).__name__}; expected a path, a PIL image or an array of uint8"
        )
    if array.dtype != np.uint8:
        is_wide = array.dtype == np.uint16 and array.ndim == 2
        how = (
            "give PIL.Image.fromarray(array), which is read like a 16-bit file"
            if is_wide
            else "scale the pixels to 0 … 255"
        )
        raise ImageError(f"{name}: its array has dtype {array.dtype}; expected uint8: {how}")
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))) or 0 in array.shape:
        raise ImageError(f"{name}: its array has shape {array.shape}; expected (h, w), or (h, w, c) with c = 1, 3 or 4")
