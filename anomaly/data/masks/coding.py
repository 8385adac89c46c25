"""What the pixels of a mask file mean: which of them are the defect.

Masks are bool (h, w), True on the defect. The rules, by how the file is coded (`docs/guide.md` has them for people):

    palette         the index: 0 is the background. A palette of black and white alone is read by its colours
    grey            0 is the background, all else the defect; but what smoothing leaves of black and white counts from
                    mid-grey upwards
    colours         black is the background, all else the defect
    alpha           what is transparent is the background; an alpha channel that is the same everywhere is ignored
    JPEG, WebP      they blur, so what is not black and white must be as smoothing leaves it, too

What none of them decides is refused, because half a mask is worse than none.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin
from scipy import ndimage

from anomaly.data.decoding.appearance import quiet
from anomaly.data.decoding.decode import decode
from anomaly.data.decoding.limits import DEFAULT_LIMITS, Limits
from anomaly.errors import ImageError, UndecodableImageError

Mask = NDArray[np.bool_]
Greys = NDArray[np.uint16]  # of 8 bits, too

MAX_LABELS = 16
"""Values or colours in a lossless mask, the background's among them. A picture or a soft map has more."""

_LOSSY = ("JPEG", "WEBP")
_COLOUR_MODES = ("RGB", "RGBX", "CMYK", "YCbCr")
_EDGE = 2  # pixels: how wide the grey edge of a white area may be
_BLURRED_EDGE = 4  # in a file whose format blurs, or with as many levels as smoothing makes
_SMOOTH = 6  # levels
_MOST_GREY, _TRIFLE = 0.5, 0.05  # shares of the picture
_COLOURED = 64  # difference of two channels that no compressed grey reaches
_ORIENTATION = 274  # in EXIF
_TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


def read_mask(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> Mask:
    """The defect in one mask file.

    Raises:
        ImageError: the file cannot be read, or it cannot be told which of its pixels are the defect.
    """
    name = str(path)
    size = decode(path, name=name, limits=limits).size  # for its checks: the file is whole, and not too large
    image = _open_raw(path, name)
    if image.size != size:
        raise ImageError(f"{name}: its first page is not its picture; save this mask as a PNG of one page")
    if _is_lossy(image):
        return _of_blurred(image, name)
    if image.mode == "P" and not _is_ground_opaque(image):
        return _of_palette(image, name)
    if image.mode in ("P", "PA", "LA", "RGBA") or "transparency" in image.info:
        return _of_alpha(np.asarray(image.convert("RGBA")), name)
    if image.mode == "1":
        return np.array(image, np.bool_)
    if image.mode == "L" or image.mode.startswith("I;16"):
        return _of_greys(_greys(image), 255 if image.mode == "L" else 65535, name)
    if image.mode not in _COLOUR_MODES:
        raise ImageError(f"{name}: this mask has pixels of PIL's mode {image.mode}; save it as PNG with 8 or 16 bits")
    return _of_colours(np.asarray(image.convert("RGB")), name)


def looks_inverted(mask: Mask) -> bool:
    """Whether the defect fills all four corners and most of the picture, but not all of it."""
    corners = mask[:: max(1, mask.shape[0] - 1), :: max(1, mask.shape[1] - 1)]
    return bool(corners.all() and 0.5 < mask.mean() < 1)


def _open_raw(path: Path, name: str) -> Image.Image:
    """The picture with its own values: indices of a palette, 16 bits, alpha."""
    try:
        with quiet():
            image = Image.open(BytesIO(path.read_bytes()))
            image.load()
            upright = ImageOps.exif_transpose(image) if _ORIENTATION in image.getexif() else image
    except Exception as error:  # decode could read it, so hardly ever
        raise UndecodableImageError(f"{name}: this mask cannot be decoded ({error}); save it as PNG") from error
    upright.format = image.format
    return upright


def _is_lossy(image: Image.Image) -> bool:
    return image.format in _LOSSY or image.info.get("compression") == "jpeg"


def _greys(image: Image.Image) -> Greys:
    """PIL inverts white-is-zero TIFFs of 8 bits, but not of 16."""
    greys = np.asarray(image).astype(np.uint16)
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    return 65535 - greys if image.mode != "L" and tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO else greys


def _of_greys(greys: Greys, white: int, name: str) -> Mask:
    levels = np.flatnonzero(np.bincount(greys.ravel()))
    if len(levels) == 1:
        return greys > 0
    if len(levels) > MAX_LABELS:
        if not _is_smoothed(greys, white, _EDGE):
            raise _not_a_mask(name, f"{len(levels)} different greys")
        return greys > white // 2
    if levels[0] != 0:
        raise ImageError(
            f"{name}: no pixel of this mask is 0, and it has {len(levels)} values from {levels[0]} to {levels[-1]}, so "
            "it cannot be told which is the background; save it with 0 on the background and 255 on the defect"
        )
    width = _EDGE if len(levels) < _SMOOTH else _BLURRED_EDGE
    if len(levels) > 2 and levels[-1] == white:
        between, bright = (greys > 0) & (greys < white), greys > white * 3 // 4
        if _is_edge(between, greys == 0, bright, width):
            return greys > white // 2
    return greys > 0


def _is_edge(between: Mask, black: Mask, bright: Mask, width: int) -> bool:
    """Whether the greys between are nowhere but at the border of black and white, as smoothing makes them."""
    return not (between.any() and (between & ~(_widened(black, width) & _widened(bright, width))).any())


def _is_smoothed(greys: Greys, white: int, width: int) -> bool:
    """Whether the greys are what smoothing or compression leaves of black and white.

    Half of the picture at least is exactly black or white, as hardly a photograph is. What is between a quarter and
    three quarters of white is at the edges alone, or is less than the white, where all greys are a trifle.
    """
    between, bright = (greys > white // 4) & (greys <= white * 3 // 4), greys > white * 3 // 4
    is_grey = (greys > 0) & (greys < white)
    if not bright.any() or is_grey.mean() > _MOST_GREY:
        return False
    is_trifle = is_grey.mean() <= _TRIFLE and between.sum() < bright.sum()
    return bool(is_trifle or _is_edge(between, greys <= white // 4, bright, width))


def _widened(area: Mask, width: int) -> Mask:
    widened: NDArray[np.uint8] = ndimage.maximum_filter(area.astype(np.uint8), size=2 * width + 1)
    return widened > 0


def _of_blurred(image: Image.Image, name: str) -> Mask:
    rgb = np.asarray(image.convert("RGB")).astype(np.int16)
    greys = np.asarray(image.convert("L")).astype(np.uint16)
    brightest = int(greys.max())
    if np.ptp(rgb, axis=2).max() > _COLOURED:
        raise ImageError(f"{name}: this mask has colours, which its format blurs; save it as PNG")
    if 0 < brightest < 192:
        raise ImageError(
            f"{name}: the brightest pixel of this mask is {brightest}, and its format blurs; expected 255 on the "
            "defect and 0 elsewhere: save it as PNG"
        )
    if brightest and not _is_smoothed(greys, 255, _BLURRED_EDGE):
        raise _not_a_mask(name, "greys beside the edges of its white areas")
    return greys >= 128


def _of_palette(image: Image.Image, name: str) -> Mask:
    index: NDArray[np.uint8] = np.asarray(image)
    palette = np.zeros((256, 3), np.uint8)
    listed = np.asarray(image.getpalette("RGB") or (), np.uint8).reshape(-1, 3)
    palette[: len(listed)] = listed
    colours = palette[np.unique(index)]
    ground, is_black = palette[0], ~colours.any(axis=1)
    is_black_and_white = bool(np.isin(np.vstack([colours, ground[None]]).sum(axis=1), (0, 3 * 255)).all())
    is_grey_with_white = bool((colours == colours[:, :1]).all() and (colours == 255).any())
    if is_grey_with_white and (is_black_and_white or not ground.any()):
        return _of_greys(palette[index, 0].astype(np.uint16), 255, name)
    if ground.any() and is_black.any():
        raise ImageError(
            f"{name}: index 0 of its palette is not black, and another one is, so it cannot be told which is the "
            "background; save it with index 0 on the background"
        )
    return index > 0


def _is_ground_opaque(image: Image.Image) -> bool:
    """Whether the transparency of a palette lies on other entries than index 0."""
    transparency = image.info.get("transparency")
    return bool(transparency[0]) if isinstance(transparency, bytes) else transparency not in (None, 0)


def _of_colours(rgb: NDArray[np.uint8], name: str) -> Mask:
    red, green, blue = np.moveaxis(rgb, 2, 0)
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return _of_greys(red.astype(np.uint16), 255, name)
    codes: NDArray[np.uint32] = (red.astype(np.uint32) << 16) | (green.astype(np.uint32) << 8) | blue
    colours = np.unique(codes)
    if len(colours) > MAX_LABELS:
        raise _not_a_mask(name, f"{len(colours)} colours")
    if colours[0] != 0:
        raise ImageError(
            f"{name}: no pixel of this mask is black, so it cannot be told which colour is the background; save it "
            "with black on the background"
        )
    return codes > 0


def _of_alpha(rgba: NDArray[np.uint8], name: str) -> Mask:
    rgb, alpha = rgba[:, :, :3], rgba[:, :, 3]
    if alpha.min() == alpha.max():
        return _of_colours(rgb, name)
    is_drawn = rgb[alpha > 0].any(axis=1)
    if is_drawn.all() or not is_drawn.any():  # one shape on a transparent ground, in whatever colour
        return _of_greys(alpha.astype(np.uint16), 255, name)
    return _of_colours(np.where(alpha[:, :, None] > 0, rgb, 0).astype(np.uint8), name)


def _not_a_mask(name: str, found: str) -> ImageError:
    return ImageError(
        f"{name}: has {found}, as a picture or a soft map has; a mask has at most {MAX_LABELS} values: save it with 0 "
        "on the background and 255 on the defect"
    )
