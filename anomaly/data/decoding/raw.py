"""The values of a file as they are stored, in all their bits: what a mask is made of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.data.decoding import png, tiff
from anomaly.data.decoding.formats import find_page, naming, open_png_twice, open_prepared, recognise, stored_pnm
from anomaly.data.decoding.limits import Limits
from anomaly.data.decoding.ranges import FULL_RANGE, Values
from anomaly.data.decoding.tiff_layout import Layout, Photometric
from anomaly.data.decoding.tiff_tags import Directory, Tag
from anomaly.errors import UnsupportedFormatError

_ORIENTATION = 274  # in EXIF
_TIFF_JPEG = 7
_FULL = (1 << FULL_RANGE) - 1


@dataclass(frozen=True)
class RawPixels:
    """`colours` are (h, w) greys, (h, w, 3) RGB, or (h, w) indices if there is a `palette` of shape (n, 3).

    `white` is the greatest value that colours and `alpha` can have. `orientation` is EXIF's: they are not turned yet.
    `is_blurred`: the format changes values.
    """

    colours: Values
    white: int = 255
    alpha: Values | None = None
    palette: NDArray[np.uint8] | None = None
    orientation: int = 1
    is_blurred: bool = False


def read_raw(data: bytes, seen: Image.Image, *, name: str, limits: Limits) -> RawPixels:
    """The first picture of a file, of which `seen` is what a person sees, so that it is known to be whole.

    Raises:
        ImageError: its values are not certain.
    """
    file_format = recognise(data, name)
    with naming(name):
        match file_format:
            case "JPEG":
                return RawPixels(np.asarray(seen), is_blurred=True)
            case "TIFF":
                page, layout, _ = find_page(data, name, limits)
                return _of_tiff(data, seen, page, layout, name)
            case "PNM":
                pixels = stored_pnm(data, name, limits)
                return RawPixels(pixels.colours, _FULL if pixels.white is None else pixels.white)
            case "PNG" if png.has_16_bits(data):
                first, again = open_png_twice(data, name, limits)
                colours, alpha = png.wide_values(first, again)
                return RawPixels(colours, _FULL, alpha, orientation=_orientation(first))
            case _:
                image = open_prepared(data, file_format, name, limits)
                return _of_webp(image, name) if file_format == "WEBP" else _of_pillow(image)


def _of_tiff(data: bytes, seen: Image.Image, page: Directory, layout: Layout, name: str) -> RawPixels:
    if layout.by_pillow:
        return RawPixels(np.asarray(seen), is_blurred=layout.compression == _TIFF_JPEG)
    if layout.photometric is Photometric.CMYK:
        if layout.bits == FULL_RANGE:
            raise UnsupportedFormatError(f"{name}: its values are inks of 16 bits; save it as grey or RGB")
        return RawPixels(np.asarray(seen))
    samples = tiff.read_samples(data, page, layout)
    colours = samples[:, :, 0] if layout.num_colours == 1 else samples[:, :, : layout.num_colours]
    white, orientation = (1 << layout.bits) - 1, page.value(Tag.ORIENTATION, 1)
    if layout.photometric is Photometric.PALETTE:
        return RawPixels(colours, palette=tiff.palette_of(page, layout.bits), orientation=orientation)
    if layout.photometric is Photometric.WHITE_IS_ZERO:
        colours = (white - colours).astype(colours.dtype)
    alpha = None if layout.alpha is None else samples[:, :, layout.num_colours]
    return RawPixels(colours, white, alpha, orientation=orientation)


def _of_webp(image: Image.Image, name: str) -> RawPixels:
    image.load()
    low, high = image.getchannel("A").getextrema() if image.mode == "RGBA" else (255, 255)
    if low != high:
        raise UnsupportedFormatError(f"{name}: has transparency, and WebP changes what lies below it; save it as PNG")
    return RawPixels(np.asarray(image.convert("RGB")), orientation=_orientation(image), is_blurred=True)


def _of_pillow(image: Image.Image) -> RawPixels:
    image.load()
    orientation = _orientation(image)
    if image.mode == "P" and not _is_ground_opaque(image):
        palette = np.asarray(image.getpalette("RGB") or (), np.uint8).reshape(-1, 3)
        return RawPixels(np.asarray(image), palette=palette, orientation=orientation)
    if image.mode in ("P", "PA", "LA", "RGBA") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        return RawPixels(rgba[:, :, :3], alpha=rgba[:, :, 3], orientation=orientation)
    return RawPixels(np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB")), orientation=orientation)


def _is_ground_opaque(image: Image.Image) -> bool:
    """Whether the transparency of a palette lies on other entries than index 0."""
    transparency = image.info.get("transparency")
    return bool(transparency[0]) if isinstance(transparency, bytes) else transparency not in (None, 0)


def _orientation(image: Image.Image) -> int:
    return int(image.getexif().get(_ORIENTATION, 1))
