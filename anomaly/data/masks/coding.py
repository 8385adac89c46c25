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

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.counted import counted
from anomaly.data.decoding.appearance import Remark, turned
from anomaly.data.decoding.decode import look
from anomaly.data.decoding.limits import DEFAULT_LIMITS, Limits, bytes_of
from anomaly.data.decoding.ranges import Values
from anomaly.data.decoding.raw import RawPixels, read_raw
from anomaly.errors import ImageError

Mask = NDArray[np.bool_]
Greys = NDArray[np.uint16]  # of 8 bits, too

MAX_LABELS = 16
"""Values or colours in a lossless mask, the background's among them. A picture or a soft map has more."""

_EDGE = 2  # pixels: how wide the grey edge of a white area may be
_BLURRED_EDGE = 4  # in a file whose format blurs, or with as many levels as smoothing makes
_SMOOTH = 6  # levels
_MOST_GREY, _TRIFLE = 0.5, 0.05  # shares of the picture
_NEIGHBOURS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
_FLAT = 3  # neighbours of the same value
_NEARLY_ALL, _SOME = 0.9, 0.25  # shares of the pixels between black and white, and of the border of the bright ones
_COLOURED = 64  # difference of two channels that no compressed grey reaches


def read_mask(source: Path | bytes, *, name: str = "", limits: Limits = DEFAULT_LIMITS) -> Mask:
    """The defect in one mask file. `name` is what error messages call it, by default its path.

    Raises:
        ImageError: the file cannot be read, or it cannot be told which of its pixels are the defect.
    """
    name = name or str(source)
    data = bytes_of(source, name, limits)
    seen = look(data, name=name, limits=limits)
    if Remark.FIRST_OF_SEVERAL in seen.remarks:
        raise ImageError(f"{name}: this mask has several pages or frames; save the one that is meant, or all as one")
    if Remark.BANDS_IGNORED in seen.remarks:
        raise ImageError(f"{name}: this mask has more bands than colour; save the one that is meant alone, as grey")
    raw = read_raw(data, seen.image, name=name, limits=limits)
    mask = _defect(raw, name)
    return np.array(turned(Image.fromarray(mask), raw.orientation), np.bool_)


def _defect(raw: RawPixels, name: str) -> Mask:
    if raw.is_blurred:
        return _of_blurred(raw.colours.astype(np.uint8), name)
    if raw.palette is not None:
        return _of_palette(raw.colours.astype(np.uint8), raw.palette, name)
    if raw.alpha is not None:
        return _of_alpha(raw.colours, raw.alpha, raw.white, name)
    return _of_colours(raw.colours, raw.white, name)


def looks_inverted(mask: Mask) -> bool:
    """Whether the defect fills all four corners and most of the picture, but not all of it."""
    corners = mask[:: max(1, mask.shape[0] - 1), :: max(1, mask.shape[1] - 1)]
    return bool(corners.all() and 0.5 < mask.mean() < 1)


def _of_greys(greys: Greys, white: int, name: str) -> Mask:
    levels = np.flatnonzero(np.bincount(greys.ravel()))
    if len(levels) == 1:
        return greys > 0
    if len(levels) > MAX_LABELS:
        if not _is_smoothed(greys, white, _EDGE) or _are_labels(greys, white):
            raise _not_a_mask(name, f"{len(levels)} different greys")
        return greys > white // 2
    if levels[0] != 0:
        raise ImageError(
            f"{name}: no pixel of this mask is 0, and it has {len(levels)} values from {levels[0]} to {levels[-1]}, so "
            "it cannot be told which is the background; save it with 0 on the background and 255 on the defect"
        )
    width = _EDGE if len(levels) < _SMOOTH else _BLURRED_EDGE
    if len(levels) > 2 and levels[-1] == white and not _are_labels(greys, white):
        between, bright = (greys > 0) & (greys < white), greys > white * 3 // 4
        if _is_edge(between, greys == 0, bright, width):
            return greys > white // 2
    return greys > 0


def _is_edge(between: Mask, black: Mask, bright: Mask, width: int) -> bool:
    """Whether the greys between are nowhere but at the border of black and white, as smoothing makes them."""
    return not (between.any() and (between & ~(_widened(black, width) & _widened(bright, width))).any())


def _are_labels(greys: Greys, white: int) -> bool:
    """Whether the greys are areas of their own, such as classes or parts that are numbered, and no smoothed edges.

    Areas are of one value: nearly all of their pixels have at least three neighbours of it, where the lines of a
    smoothed edge have two. And the bright areas border on black, where smoothing leaves greys between them.
    """
    num_equal, at_black = np.zeros(greys.shape, np.uint8), np.zeros(greys.shape, np.bool_)
    padded = np.pad(greys.astype(np.int32), 1, constant_values=-1)
    height, width = greys.shape
    for down, right in _NEIGHBOURS:
        neighbour = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        num_equal += neighbour == greys
        if 0 in (down, right):
            at_black |= neighbour == 0
    between, bright = (greys > 0) & (greys < white), greys > white * 3 // 4
    border = bright & (num_equal < len(_NEIGHBOURS))
    is_flat = num_equal[between] >= _FLAT
    return bool(between.any() and is_flat.mean() >= _NEARLY_ALL and at_black[border].mean() >= _SOME)


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
    from scipy import ndimage  # here, because it takes half a second to import, and few programs read masks

    widened: NDArray[np.uint8] = ndimage.maximum_filter(area.astype(np.uint8), size=2 * width + 1)
    return widened > 0


def _of_blurred(colours: NDArray[np.uint8], name: str) -> Mask:
    image = Image.fromarray(colours)
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


def _of_palette(index: NDArray[np.uint8], listed: NDArray[np.uint8], name: str) -> Mask:
    palette = np.zeros((256, 3), np.uint8)
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


def _of_colours(colours: Values, white: int, name: str) -> Mask:
    if colours.ndim == 2:
        return _of_greys(colours.astype(np.uint16), white, name)
    red, green, blue = np.moveaxis(colours, 2, 0)
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return _of_greys(red.astype(np.uint16), white, name)
    bits = np.uint8(8 if white < 256 else 16)
    codes = np.zeros(red.shape, np.uint32 if white < 256 else np.uint64)
    for channel in (red, green, blue):
        codes = codes << bits | channel
    return _of_codes(codes, name)


def _of_codes(codes: NDArray[np.unsignedinteger[Any]], name: str) -> Mask:
    """Of colours as one number each; black is 0."""
    colours = np.unique(codes)
    if len(colours) > MAX_LABELS:
        raise _not_a_mask(name, counted(len(colours), "colour"))
    if colours[0] != 0:
        raise ImageError(
            f"{name}: no pixel of this mask is black, so it cannot be told which colour is the background; save it "
            "with black on the background"
        )
    return codes > 0


def _of_alpha(colours: Values, alpha: Values, white: int, name: str) -> Mask:
    if alpha.min() == alpha.max():
        return _of_colours(colours, white, name)
    layers = colours.reshape(*alpha.shape, -1)
    is_drawn = layers[alpha > 0].any(axis=1)
    if is_drawn.all() or not is_drawn.any():  # one shape on a transparent ground, in whatever colour
        return _of_greys(alpha.astype(np.uint16), white, name)
    drawn = np.where(alpha[:, :, None] > 0, layers, layers.dtype.type(0))
    return _of_colours(drawn[:, :, 0] if colours.ndim == 2 else drawn, white, name)


def _not_a_mask(name: str, found: str) -> ImageError:
    return ImageError(
        f"{name}: has {found}, as a picture or a soft map has; a mask has at most {MAX_LABELS} values: save it with 0 "
        "on the background and 255 on the defect"
    )
