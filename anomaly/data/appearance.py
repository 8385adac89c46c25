"""What a person would see: any PIL image to plain 8-bit grey ("L") or colour ("RGB").

- EXIF orientation is applied.
- Transparency, of a palette or of an alpha channel, is composited on white, as most viewers show it.
- 16-bit greys keep their range: 0 … 65535 maps linearly to 0 … 255, nothing is clipped.
- CMYK becomes RGB by the plain formula (PIL has by then undone the inversion of JPEGs). Colour profiles are ignored.
- Pixels without a fixed range (floating point, 32-bit integers) are refused: any choice of range would be a guess.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from anomaly.errors import UnsupportedFormatError

_WIDE_GREYS = {"I;16", "I;16L", "I;16B", "I;16N"}
_CONVERTIBLE = {"P", "PA", "CMYK", "YCbCr", "RGBX"}
_ORIENTATION_HOLDERS = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}
_TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0

_warning_filters = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Silences PIL's remarks on damaged metadata and sizes; the limits and errors of this package say what matters.

    Python's warning filters belong to the whole process, so only one thread at a time may change and restore them: keep
    what runs inside short.
    """
    with _warning_filters, warnings.catch_warnings(action="ignore"):
        yield


def as_seen(image: Image.Image, *, name: str) -> Image.Image:
    """The image as a person sees it, in mode "L" or "RGB" and without metadata.

    Raises:
        UnsupportedFormatError: the pixels have no fixed range.
        Exception: PIL's own, if the image is a lazily opened file that turns out broken.
    """
    image.load()
    if not image.info and image.mode in ("L", "RGB"):
        return image
    plain = _to_plain_mode(image, name)
    plain = _upright(plain) if _ORIENTATION_HOLDERS & plain.info.keys() else plain.copy()
    plain.info = {}
    return plain


def _to_plain_mode(image: Image.Image, name: str) -> Image.Image:
    if image.mode in _WIDE_GREYS:
        return _narrow(image)
    if image.has_transparency_data:
        return _on_white(image)
    if image.mode in ("L", "RGB"):
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode in _CONVERTIBLE:
        return image.convert("RGB")
    raise UnsupportedFormatError(
        f"{name}: its pixels are of PIL mode {image.mode!r}, which has no fixed range from black to white; "
        "expected 8 or 16 bits a channel: scale it to one of these and save it again"
    )


def _narrow(image: Image.Image) -> Image.Image:
    """16-bit grey to 8-bit, rounded: 65535 = 255 · 257. PIL inverts white-is-zero TIFFs of 8 bits, but not of 16."""
    wide = np.asarray(image).astype(np.uint32)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        wide = 65535 - wide
    narrow = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    narrow.info = image.info.copy()
    return narrow


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    seen = Image.alpha_composite(white, image.convert("RGBA")).convert("L" if image.mode in ("1", "L", "LA") else "RGB")
    seen.info = image.info.copy()
    return seen


def _upright(image: Image.Image) -> Image.Image:
    """The image rotated as its metadata say; PIL rotates TIFFs while loading."""
    with quiet():
        return ImageOps.exif_transpose(image)
