"""Defects of a known size and contrast, drawn into pictures as they are on disk: to tell how small a defect is found.

They are not the kinds that training draws (`networks.auxiliary.defect_kinds`): here scratches are straight, of one
width, and have hard edges; scratches and spots are flat, without the texture that was there; dents are dark on one side
and bright on the other; stripes alternate; missing structure is filled in from around it; a colour cast keeps the
brightness. Training knows none of these rules, but lines and spots of its own: what it has learnt of those helps here.
Shapes: pictures (h, w) or (h, w, 3) of uint8. A contrast is a share of the 255 grey levels.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from anomaly.data import Mask, Pixels

Field = NDArray[np.float64]

NUM_PLACES = 20  # tried for one defect
MOST_CLIPPED = 0.1  # of its values; where more would lie beyond black or white the place is not taken
LEAST_CHANGE = 8.0  # grey levels on average, where the picture decides how strong a defect is
LEAST_STEP = 0.75  # of the contrast, on average, that a scratch or spot is darker or brighter than what it covers
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


class DefectKind(StrEnum):
    """What is drawn. The values are for people."""

    DARK_SCRATCH = "dark scratch"
    BRIGHT_SCRATCH = "bright scratch"
    DARK_SPOT = "dark spot"
    BRIGHT_SPOT = "bright spot"
    DENT = "dent"
    STRIPES = "stripes"
    MISSING_STRUCTURE = "missing structure"
    COLOUR_CAST = "colour cast"

    @property
    def is_scratch(self) -> bool:
        """Whether it is long and narrow; the others are as wide as long."""
        return self in (DefectKind.DARK_SCRATCH, DefectKind.BRIGHT_SCRATCH)

    @property
    def sign(self) -> int:
        """-1 of what is darker than its place, else 1."""
        return -1 if self in (DefectKind.DARK_SCRATCH, DefectKind.DARK_SPOT) else 1


@dataclass(frozen=True)
class Defect:
    """One kind, size and contrast. `width` and `length` are in pixels of the picture.

    `contrast` is None for missing structure: how strong that is depends on the picture.
    """

    kind: DefectKind
    width: int
    length: int
    contrast: float | None

    @property
    def step(self) -> float:
        """The contrast in grey levels; 0 where the picture decides."""
        return 255 * (self.contrast or 0.0)

    @property
    def seed(self) -> tuple[int, ...]:
        """Numbers that no other defect has."""
        return list(DefectKind).index(self.kind), self.width, self.length, round(1000 * (self.contrast or 0))


def spoil_picture(
    picture: Pixels, defect: Defect, rng: np.random.Generator, *, inside: Mask | None = None
) -> Pixels | None:
    """A copy of the picture with the defect at a random place, at a random angle where it has one.

    `inside`, (h, w), is where a defect may be, anywhere without it. None where none of NUM_PLACES places can show it: a
    dark spot needs something brighter, a bright one something darker, missing structure needs structure, and each
    needs room.
    """
    side = defect.length
    margin = max(2, side // 2)
    height, width = picture.shape[:2]
    first, last = _extent(height, width, inside)
    if (last - first).min() < side or (defect.kind is DefectKind.COLOUR_CAST and picture.ndim == 2):
        return None
    for _ in range(NUM_PLACES):
        top, left = (int(rng.integers(start, end - side + 1)) for start, end in zip(first, last, strict=True))
        rows = slice(max(top - margin, 0), min(top + side + margin, height))
        columns = slice(max(left - margin, 0), min(left + side + margin, width))
        window = picture[rows, columns].astype(np.float64)
        centre = (top - rows.start + (side - 1) / 2, left - columns.start + (side - 1) / 2)
        mask, wanted = _draw(window, defect, centre, rng)
        if inside is not None and not inside[rows, columns][mask].all():
            continue
        changed = wanted.clip(0, 255)
        if (changed != wanted)[mask].mean() > MOST_CLIPPED or not _is_seen(defect, (changed - window)[mask]):
            continue
        spoilt = picture.copy()
        spoilt[rows, columns][mask] = np.rint(changed[mask]).astype(np.uint8)
        return spoilt
    return None


def _extent(height: int, width: int, inside: Mask | None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first row and column in which a pixel may change, and those behind the last."""
    if inside is None:
        return np.array([0, 0]), np.array([height, width])
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return np.array([rows[0], columns[0]]), np.array([rows[-1], columns[-1]]) + 1


def _is_seen(defect: Defect, change: Field) -> bool:
    """Whether the place shows the defect: flat ones must be as dark or bright as asked, and structure must be there."""
    match defect.kind:
        case DefectKind.MISSING_STRUCTURE:
            return bool(np.abs(change).mean() >= LEAST_CHANGE)
        case DefectKind.DARK_SCRATCH | DefectKind.DARK_SPOT | DefectKind.BRIGHT_SCRATCH | DefectKind.BRIGHT_SPOT:
            return bool(defect.kind.sign * change.mean() >= LEAST_STEP * defect.step)
        case _:
            return True


def _draw(window: Field, defect: Defect, centre: tuple[float, float], rng: np.random.Generator) -> tuple[Mask, Field]:
    """Which pixels of the window change, and the values that they should have, which may lie beyond 0 … 255."""
    y, x = (axis - at for axis, at in zip(np.mgrid[: window.shape[0], : window.shape[1]], centre, strict=True))
    angle = rng.uniform(0, math.pi)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    step, half = defect.step, defect.length / 2
    disc = x**2 + y**2 <= half**2
    match defect.kind:
        case DefectKind.DARK_SCRATCH | DefectKind.BRIGHT_SCRATCH:
            shifts = rng.uniform(-0.5, 0.5, 2)  # else pixels at both ends would always come or go together
            mask = (np.abs(along + shifts[0]) <= half) & (np.abs(across + shifts[1]) <= defect.width / 2)
            return mask, _blurred(window, max(1.0, defect.width)) + defect.kind.sign * step
        case DefectKind.DARK_SPOT | DefectKind.BRIGHT_SPOT:
            return disc, _blurred(window, max(1.0, half / 2)) + defect.kind.sign * step
        case DefectKind.DENT:
            return disc, window + step * _of_channels((across / half).clip(-1, 1), window)
        case DefectKind.STRIPES:
            period = min(8, max(2, defect.length // 2))
            square = (np.abs(x) < half) & (np.abs(y) < half)
            wave = np.where((y + half) // (period / 2) % 2 < 1, 1.0, -1.0)
            return square, window + step * _of_channels(wave, window)
        case DefectKind.MISSING_STRUCTURE:
            return disc, _filled_in(window, disc, half / 2)
        case DefectKind.COLOUR_CAST:
            return disc, window + step * _cast(rng)


def _blurred(window: Field, sigma: float) -> Field:
    """The window without its texture; colours each for themselves."""
    blurred: Field = gaussian_filter(window, (sigma, sigma, 0.0)[: window.ndim], mode="nearest")
    return blurred


def _filled_in(window: Field, mask: Mask, sigma: float) -> Field:
    """What is under the mask replaced by a mean of what is around it, the nearer the heavier."""
    outside = _of_channels((~mask).astype(np.float64), window)
    sums, weights = (_blurred(each, max(1.0, sigma)) for each in (window * outside, outside * np.ones_like(window)))
    return sums / np.maximum(weights, 1e-9)


def _of_channels(field: Field, window: Field) -> Field:
    """(h, w) beside the channels of a window that has such."""
    return field[..., None] if window.ndim == 3 else field


def _cast(rng: np.random.Generator) -> Field:
    """(3,): a random change of colour without one of brightness; its strongest channel changes by 1."""
    direction = rng.normal(size=3)
    direction -= _LUMA * (direction @ _LUMA) / (_LUMA @ _LUMA)
    cast: Field = direction / np.abs(direction).max()
    return cast
