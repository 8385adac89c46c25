"""How a picture lies: the shift and turn from it to a reference picture of the same object.

The reference is small and grey, without its light, in the upper left corner of a square; beyond it there are zeros. A
picture is reduced alike. Phase correlation finds the shift (Kuglin and Hines 1975), and Gauss-Newton steps on the
squared difference refine shift and turn (Lucas and Kanade 1981; Baker and Matthews 2004, inverse compositional).

A pose is a matrix (2, 3): from (row, column, 1) in the picture to (row, column) in the reference, both as shares of
height and width. Exported programs have a copy of this file, so it imports numpy and Pillow alone.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.config.places import REFERENCE_SIDE

LEAST_AGREEMENT = 0.5
"""Correlation with the reference below which a picture is measured as it lies."""

_STEPS = 20
_SETTLED = 0.005  # pixels of the reference: a smaller step is the last
_LIGHTS = 12  # along the long side: the light is smooth between so many points
_MOST_DIFFERENT = 0.3  # of the brightness: a larger difference counts as this, so that a defect moves nothing
_LEAST_CONTRAST = 1e-3  # of the brightness
_EDGE = 2  # pixels that are not compared
_BILINEAR = Image.Resampling.BILINEAR

Greys = NDArray[np.float32]
Matrix = NDArray[np.float64]


class Pose(NamedTuple):
    """Where a picture's points lie in the reference (2, 3), and the correlation of both pictures there."""

    matrix: NDArray[np.float32]
    agreement: float


AS_IT_LIES = np.eye(2, 3, dtype=np.float32)


def reference_of(pixels: NDArray[np.uint8]) -> Greys:
    """The reference (REFERENCE_SIDE, REFERENCE_SIDE) that a picture (c, h, w) makes."""
    reference = np.zeros((REFERENCE_SIDE, REFERENCE_SIDE), np.float32)
    small = _reduced(pixels)
    reference[: small.shape[0], : small.shape[1]] = small
    return reference


def pose_of(reference: Greys, pixels: NDArray[np.uint8]) -> Pose:
    """How a picture (c, h, w) lies; as it is, where it has another shape or shows something else."""
    small = _reduced(pixels)
    height, width = ((reference > 0).any(axis=axis).sum() for axis in (1, 0))
    if small.shape != (height, width):
        return Pose(AS_IT_LIES, 0.0)
    wanted = np.asarray(reference[:height, :width], np.float32)
    motion = _refined(wanted, small)
    moved = _moved(small, motion)
    seen = np.isfinite(moved)
    agreement = _correlation(wanted[seen], moved[seen])
    if agreement < LEAST_AGREEMENT:
        return Pose(AS_IT_LIES, agreement)
    back = np.linalg.inv(motion)  # from pixels (x, y) of the picture to those of the reference
    swapped = back[[1, 0, 2]][:, [1, 0, 2]]
    to_pixels = np.diag([height, width, 1.0])
    return Pose((np.linalg.inv(to_pixels) @ swapped @ to_pixels)[:2].astype(np.float32), agreement)


def _correlation(first: Greys, second: Greys) -> float:
    """0 where one of them shows nothing."""
    if not first.size or min(first.std(), second.std()) < _LEAST_CONTRAST:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _reduced(pixels: NDArray[np.uint8]) -> Greys:
    """Grey, at most REFERENCE_SIDE pixels a side, divided by its light; above 0."""
    _, height, width = pixels.shape
    grey = Image.fromarray(pixels[0] if len(pixels) == 1 else np.rint(pixels.mean(axis=0)).astype(np.uint8))
    small, lights = (
        [max(round(side * length / max(height, width)), 2) for side in (width, height)]
        for length in (REFERENCE_SIDE, _LIGHTS)
    )
    levels = 1 + np.asarray(grey.resize(small, _BILINEAR), np.float32)
    even = Image.fromarray(levels).resize(lights, _BILINEAR).resize(small, _BILINEAR)
    reduced: Greys = np.divide(levels, np.asarray(even), dtype=np.float32)
    return reduced


def _refined(wanted: Greys, picture: Greys) -> Matrix:
    """(3, 3): from pixels (x, y) of the reference to those of the picture."""
    height, width = wanted.shape
    middle = np.array([width / 2, height / 2])
    down, right = np.gradient(wanted)
    y, x = np.mgrid[:height, :width] + 0.5 - middle[::-1, None, None]
    slopes = np.stack([down * x - right * y, right, down])  # by turn, x and y
    motion = _rigid(0.0, _shift(wanted, picture), middle)
    for _ in range(_STEPS):
        moved = _moved(picture, motion)
        seen = np.isfinite(moved)
        for edge in (seen, seen.T):
            edge[:_EDGE] = edge[-_EDGE:] = False
        difference = np.where(seen, moved - wanted, 0).clip(-_MOST_DIFFERENT, _MOST_DIFFERENT)
        known = (slopes * seen).reshape(3, -1)
        turn, *shift = np.linalg.lstsq(known @ known.T, known @ difference.ravel(), rcond=None)[0]
        motion = motion @ np.linalg.inv(_rigid(turn, shift, middle))
        if max(abs(turn) * max(middle), *np.abs(shift)) < _SETTLED:
            break
    return motion


def _shift(wanted: Greys, picture: Greys) -> tuple[float, float]:
    """(x, y) in whole pixels, by the peak of the phase correlation."""
    window = np.outer(*(np.hanning(side) for side in wanted.shape))  # or the edges, which do not move, would give it
    of_wanted, of_picture = (np.fft.rfft2((each - each.mean()) * window) for each in (wanted, picture))
    cross = of_picture * np.conj(of_wanted)
    correlation = np.fft.irfft2(cross / (np.abs(cross) + 1e-6), wanted.shape)
    y, x = (int(at) for at in np.unravel_index(correlation.argmax(), wanted.shape))
    height, width = wanted.shape
    return float(x - width * (x > width // 2)), float(y - height * (y > height // 2))


def _rigid(turn: float, shift: tuple[float, float] | list[float], middle: NDArray[np.float64]) -> Matrix:
    """A turn about the middle, then a shift."""
    cosine, sine = np.cos(turn), np.sin(turn)
    matrix = np.eye(3)
    matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
    matrix[:2, 2] = middle - matrix[:2, :2] @ middle + shift
    return matrix


def _moved(picture: Greys, motion: Matrix) -> Greys:
    """The picture laid over the reference; not a number where it does not reach."""
    height, width = picture.shape
    moved = Image.fromarray(picture).transform(
        (width, height), Image.Transform.AFFINE, tuple(motion[:2].ravel()), _BILINEAR, fillcolor=float("nan")
    )
    return np.asarray(moved, np.float32)
