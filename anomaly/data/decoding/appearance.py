"""What a person would see: any PIL image to plain 8-bit grey ("L") or colour ("RGB").

- EXIF orientation is applied.
- Transparency, of a palette or of an alpha channel, is composited on white, as most viewers show it. Where it is 0
  everywhere nothing would be seen: then it is no transparency, and ignored.
- 16-bit greys keep their range (see `ranges`): 0 … 65535 maps linearly to 0 … 255, nothing is clipped.
- CMYK becomes RGB by the plain formula (PIL has by then undone the inversion of JPEGs). Colour profiles are ignored.
- Pixels without a fixed range (floating point, 32-bit integers) are refused: any choice of range would be a guess.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from anomaly.data.decoding.ranges import FULL_RANGE, narrow
from anomaly.errors import UnsupportedFormatError


class Remark(StrEnum):
    """What is to be said of a picture, or once for all pictures of a run that it is true of."""

    ALPHA_IGNORED = "the transparency (alpha) is 0 everywhere, so it was ignored"
    FIRST_OF_SEVERAL = "there are several pages or frames, of which only the first was read"
    BANDS_IGNORED = "there are more bands than colour, such as near infrared, which were ignored"

    @property
    def leaves_unseen(self) -> bool:
        """Whether the file holds pixels that nobody looked at, so that a defect may be there."""
        return self is not Remark.ALPHA_IGNORED


@dataclass(frozen=True)
class Seen:
    """A picture in mode "L" or "RGB", without metadata, and what is to be said of it."""

    image: Image.Image
    remarks: frozenset[Remark] = frozenset()


_WIDE_GREYS = {"I;16", "I;16L", "I;16B", "I;16N"}
_CONVERTIBLE = {"P", "PA", "CMYK", "YCbCr", "RGBX"}
_ORIENTATION_HOLDERS = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}
_ORIENTATION = 274  # in EXIF
_TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_TURNS = {  # what a viewer does with the pixels, by EXIF's or TIFF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_NONE: frozenset[Remark] = frozenset()
_FIRST = frozenset({Remark.FIRST_OF_SEVERAL})
_warning_filters = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Silences PIL's remarks on damaged metadata and sizes; the limits and errors of this package say what matters.

    Python's warning filters belong to the whole process, so only one thread at a time may change and restore them: keep
    what runs inside short.
    """
    with _warning_filters, warnings.catch_warnings(action="ignore"):
        yield


def see(image: Image.Image, *, name: str, value_range: int = FULL_RANGE, is_first_of_several: bool = False) -> Seen:
    """The image as a person sees it; `value_range` is the number of bits that values of 16 bits use.

    Raises:
        UnsupportedFormatError: the pixels have no fixed range.
        ValueRangeError: values beyond the range.
        Exception: PIL's own, if the image is a lazily opened file that turns out broken.
    """
    image.load()
    remarks = _FIRST if is_first_of_several else _NONE
    if not image.info and image.mode in ("L", "RGB"):
        return Seen(image, remarks)
    plain, is_alpha_ignored = _to_plain_mode(image, name, value_range)
    if _ORIENTATION_HOLDERS & plain.info.keys():
        plain = _upright(plain)
    elif plain is image:
        plain = plain.copy()  # because it keeps its metadata, and may be the caller's
    plain.info = {}
    return Seen(plain, remarks | {Remark.ALPHA_IGNORED} if is_alpha_ignored else remarks)


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """By an orientation of TIFF or EXIF; one that there is not turns nothing."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def is_to_be_turned(image: Image.Image) -> bool:
    """Whether it stands otherwise than its pixels, by its metadata. Raises what PIL raises of damaged ones."""
    if not _ORIENTATION_HOLDERS & image.info.keys():
        return False
    bearer = Image.new("L", (1, 1))  # because a JPEG that is opened has tried them, and says no more of it
    bearer.info = image.info
    with quiet():
        return bearer.getexif().get(_ORIENTATION) in _TURNS


def _to_plain_mode(image: Image.Image, name: str, value_range: int) -> tuple[Image.Image, bool]:
    """In mode "L" or "RGB", with its metadata; and whether a transparency was ignored."""
    if image.mode in _WIDE_GREYS:
        return _narrowed(image, name, value_range)
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        raise UnsupportedFormatError(
            f"{name}: its transparent colour has 16 bits, and PIL keeps 8 of its pixels; give the path of the file"
        )
    if image.has_transparency_data:
        return _on_white(image)
    if image.mode in ("L", "RGB"):
        return image, False
    if image.mode == "1":
        return image.convert("L"), False
    if image.mode in _CONVERTIBLE:
        return image.convert("RGB"), False
    raise UnsupportedFormatError(
        f"{name}: its pixels are of PIL mode {image.mode!r}, which has no fixed range from black to white; "
        "expected 8 or 16 bits a channel: scale it to one of these and save it again"
    )


def _narrowed(image: Image.Image, name: str, value_range: int) -> tuple[Image.Image, bool]:
    """16-bit grey to 8-bit, transparent values white; and whether all were transparent, which was ignored.

    PIL inverts white-is-zero TIFFs of 8 bits, but not of 16.
    """
    values = np.asarray(image).astype(np.uint16)
    seen = narrow(values, value_range, name=name)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        seen = 255 - seen
    is_unseen = values == image.info.get("transparency", -1)
    is_ignored = bool(is_unseen.all())
    narrowed = Image.fromarray(seen if is_ignored else np.where(is_unseen, np.uint8(255), seen))
    narrowed.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return narrowed, is_ignored


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    layered = image.convert("RGBA")
    is_unseen = layered.getchannel("A").getextrema() == (0, 0)
    if is_unseen:
        layered.putalpha(255)
    seen = Image.alpha_composite(Image.new("RGBA", image.size, "white"), layered).convert(mode)
    seen.info = image.info.copy()
    return seen, is_unseen


def _upright(image: Image.Image) -> Image.Image:
    """The image rotated as its metadata say; PIL rotates TIFFs while loading."""
    with quiet():
        return ImageOps.exif_transpose(image)
