"""Normal images of any shape with synthetic defects: some kinds are for training, others for choosing.

Shapes: pixels (c, h, w) uint8; masks (h, w).
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly.config.region import OUTSIDE
from anomaly.data import Pixels, PixelsOfImages, to_floats, to_pixels
from anomaly.networks.auxiliary.defect_kinds import spoil

TRAINING_KINDS = ("paste", "uneven", "grain", "contrast", "bent")
CHOOSING_KINDS = ("line", "blot", "shade", "blurred")
SIDES = (128, 256, 512)
"""Of the squares that are spoilt in large pictures, in pixels: the defects are drawn in proportion."""
SMALL_SIDES = (16, 24, 32, 48, 64)
MOVED_SIDES = (0.25, 0.5)
"""Of the squares that lie at a wrong place, from and to, of the picture's shorter side."""
_MOVES = 8  # squares of which one is taken
_SOFT = 0.25  # of a moved square's side: its edge
_PIXELS_EACH = 20_000  # of a picture, for each of its small squares
_SMALL = 256  # pixels of a side: smaller pictures are spoilt as a whole
_TRIES = 50  # until a defect can be seen inside the region
_STRIDE = 4  # of sides that every kind can be drawn in


def spoilt_images(
    pixels: PixelsOfImages,
    rows: Sequence[int],
    kinds: Sequence[str],
    seed: int,
    sides: Sequence[int] = SIDES,
    *,
    has_region: bool = False,
) -> Iterator[tuple[Pixels, NDArray[np.bool_]]]:
    """Each of the images with one to three defects inside a square of it, and where they can be seen.

    The squares of large pictures have one of these `sides`, in pixels: their defects may be small. What is pasted comes
    from another of the images. With `has_region` nothing outside of it changes.
    """

    def draw(image: Pixels, mask: NDArray[np.bool_], donor: Pixels, rng: np.random.Generator) -> None:
        side = min(*image.shape[1:], *donor.shape[1:])
        if side > _SMALL:
            side = min(side, int(rng.choice(sides)))
        _spoil_square(image, mask, donor, side // _STRIDE * _STRIDE, kinds, rng)

    return _spoilt(draw, pixels, rows, seed, has_region=has_region)


def spoilt_all_over(
    pixels: PixelsOfImages, rows: Sequence[int], kinds: Sequence[str], seed: int, *, has_region: bool = False
) -> Iterator[tuple[Pixels, NDArray[np.bool_]]]:
    """Each of the images with small defects in many small squares, which may lie over each other."""

    def draw(image: Pixels, mask: NDArray[np.bool_], donor: Pixels, rng: np.random.Generator) -> None:
        for _ in range(max(mask.size // _PIXELS_EACH, 1)):
            side = min(*image.shape[1:], *donor.shape[1:], int(rng.choice(SMALL_SIDES)))
            _spoil_square(image, mask, donor, side, kinds, rng)

    return _spoilt(draw, pixels, rows, seed, has_region=has_region)


def moved_images(
    pixels: PixelsOfImages, rows: Sequence[int], seed: int, *, has_region: bool = False
) -> Iterator[tuple[Pixels, NDArray[np.bool_]]]:
    """Each of the images with a square of its own at a wrong place, and where that can be seen.

    Its edge is soft, so that nothing tells it but what lies there in normal images. Of some squares the one that
    changes the image most is taken: ground on ground is no defect. With `has_region` nothing outside of it is moved,
    or covered.
    """

    def draw(image: Pixels, mask: NDArray[np.bool_], donor: Pixels, rng: np.random.Generator) -> None:
        own, inside = np.array(image), np.ones(image.shape[1:], np.bool_)
        if has_region:
            inside = (image != OUTSIDE).any(axis=0)
        side = max(round(min(image.shape[1:]) * rng.uniform(*MOVED_SIDES)), 1)
        ramp = (np.minimum(np.arange(side), np.arange(side)[::-1]) + 1) / (_SOFT * side + 1)
        soft = np.outer(ramp.clip(0, 1), ramp.clip(0, 1))
        best = -1.0
        for _ in range(_MOVES):
            to, origin = (_square(image, side, rng) for _ in range(2))
            cover = soft * inside[to] * inside[origin]
            moved = own[:, *to] * (1 - cover) + own[:, *origin] * cover
            change = float(np.abs(moved - own[:, *to]).mean())
            if change > best:
                best = change
                image[:] = own
                image[:, *to] = np.rint(moved)
        mask |= (image != own).any(axis=0)

    return _spoilt(draw, pixels, rows, seed, has_region=has_region)


def _spoilt(
    draw: Callable[[Pixels, NDArray[np.bool_], Pixels, np.random.Generator], None],
    pixels: PixelsOfImages,
    rows: Sequence[int],
    seed: int,
    *,
    has_region: bool,
) -> Iterator[tuple[Pixels, NDArray[np.bool_]]]:
    """What `draw` makes of a copy of each image, beside another of them; drawn anew while nothing inside is seen."""
    for row in rows:
        rng = np.random.default_rng((seed, row))
        own, donor = pixels[row], pixels[rows[int(rng.integers(len(rows)))]]
        for _ in range(_TRIES if has_region else 1):
            image, mask = np.array(own), np.zeros(own.shape[1:], np.bool_)
            draw(image, mask, donor, rng)
            if has_region:
                _restore_outside(image, mask, own)
            if mask.any():
                break
        yield image, mask


def _restore_outside(image: Pixels, mask: NDArray[np.bool_], own: Pixels) -> None:
    """In place: what is outside of the region was grey before all else (see `data.preprocess`)."""
    outside = (own == OUTSIDE).all(axis=0)
    image[:, outside] = OUTSIDE
    mask &= ~outside


def _spoil_square(
    image: Pixels,
    mask: NDArray[np.bool_],
    donor: Pixels,
    side: int,
    kinds: Sequence[str],
    rng: np.random.Generator,
) -> None:
    """In place, somewhere; `mask` gets what can be seen."""
    (top, left), (from_top, from_left) = (_corner(each, side, rng) for each in (image, donor))
    part = image[:, top : top + side, left : left + side]
    piece = donor[:, from_top : from_top + side, from_left : from_left + side]
    own, other = (to_floats(each) for each in (part, piece))
    spoilt, visible = spoil(own, other, rng, kinds)
    part[:] = to_pixels(spoilt)
    mask[top : top + side, left : left + side] |= visible


def _square(image: Pixels, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a random one."""
    top, left = _corner(image, side, rng)
    return slice(top, top + side), slice(left, left + side)


def _corner(image: Pixels, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Of a random square."""
    top, left = (int(rng.integers(length - side + 1)) for length in image.shape[1:])
    return top, left
