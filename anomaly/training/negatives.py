"""Negatives for the patch discriminator: normal images spoilt at some place, and where.

Nothing abnormal is needed to make them, and no defect of any data set is copied: pieces of other normals cut out and
pasted (CutPaste: Li 2021), or blended in at the same brightness (NSA: Schlüter 2022); thin wandering lines; blots;
soft shades. Most are faint. What cannot be seen is not called spoilt: a place counts as such where its pixels have
changed by more than VISIBLE.
Shapes: x and donor (c, h, w) float32 in [-1, 1]; masks (h, w).
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

Image = NDArray[np.float32]
Field = NDArray[np.float64]

MAX_WRONG = 3  # things in an image
VISIBLE = 0.08  # of the range [-1, 1], after a blur of one pixel


def spoil(x: Image, donor: Image, rng: np.random.Generator) -> tuple[Image, NDArray[np.bool_]]:
    """The image with one to three things wrong, and where they can be seen."""
    spoilt = x
    for _ in range(rng.integers(1, MAX_WRONG + 1)):
        wrong = _KINDS[rng.integers(len(_KINDS))]
        spoilt = wrong(spoilt, donor, rng).clip(-1, 1).astype(np.float32)
    change = gaussian_filter(np.abs(spoilt - x).max(axis=0), 1.0)
    return spoilt, change > VISIBLE


def _paste(x: Image, donor: Image, rng: np.random.Generator) -> Field:
    """A region of a donor, turned or not, mostly at the mean brightness of what it covers."""
    cover = _region(rng, x.shape[-1]) * rng.uniform(0.5, 1.0)
    piece = np.rot90(donor, int(rng.integers(4)), axes=(1, 2)).astype(np.float64)
    if rng.random() < 0.7:
        weight = cover / (cover.sum() + 1e-6)
        shift = ((x - piece) * weight).sum(axis=(1, 2), keepdims=True)
        piece = piece + shift + rng.normal(0.0, 0.1)
    pasted: Field = x * (1 - cover) + piece * cover
    return pasted


def _line(x: Image, donor: Image, rng: np.random.Generator) -> Field:
    """A scratch or crack of one to three pixels, mostly dark, straight or wandering."""
    size = x.shape[-1]
    num_steps = 2 * int(rng.integers(size // 10 + 1, size * 3 // 4 + 1))
    angles = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0.0, rng.uniform(0.0, 0.35), num_steps))
    rows, columns = (np.floor(rng.uniform(0, size) + 0.5 * np.cumsum(f(angles))).astype(int) for f in (np.sin, np.cos))
    inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    track = np.zeros((size, size))
    track[rows[inside], columns[inside]] = 1.0
    track = gaussian_filter(track, rng.uniform(0.4, 1.6))
    strength = np.minimum(1.3 * track / (track.max() + 1e-6), 1.0)
    scratched: Field = x + strength * _step(x, rng, 0.08, 0.6, share_dark=2 / 3)
    return scratched


def _blot(x: Image, donor: Image, rng: np.random.Generator) -> Field:
    """A spot or hole, darker or brighter."""
    return x + _region(rng, x.shape[-1]) * _step(x, rng, 0.1, 0.7)


def _shade(x: Image, donor: Image, rng: np.random.Generator) -> Field:
    """A soft change of brightness over a larger part."""
    size = x.shape[-1]
    shade = gaussian_filter(_region(rng, size), rng.uniform(size / 32, size / 6))
    shaded: Field = x + shade / (shade.max() + 1e-6) * _step(x, rng, 0.15, 0.6)
    return shaded


_KINDS: tuple[Callable[[Image, Image, np.random.Generator], Field], ...] = (_paste, _line, _blot, _shade)


def _step(x: Image, rng: np.random.Generator, low: float, high: float, *, share_dark: float = 0.5) -> Field:
    """(c, 1, 1): how much darker or brighter; of colours, each by its own share."""
    sign = -1.0 if rng.random() < share_dark else 1.0
    of_channels = rng.uniform(0.0, 1.0, (len(x), 1, 1)) if len(x) > 1 else np.ones((1, 1, 1))
    step: Field = sign * rng.uniform(low, high) * of_channels / of_channels.max()
    return step


def _region(rng: np.random.Generator, size: int) -> Field:
    """A soft-edged ellipse or rounded box at any angle, its outline smooth or ragged; 0 outside, at most 1 inside."""
    rows, columns = np.mgrid[:size, :size] - rng.integers(0, size, 2)[:, None, None]
    a, b = np.exp(rng.uniform(math.log(min(2.0, size / 8)), math.log(size / 4), 2))
    angle, power = rng.uniform(0, math.pi), rng.choice([2, 8])
    u = columns * math.cos(angle) + rows * math.sin(angle)
    v = rows * math.cos(angle) - columns * math.sin(angle)
    radius = (np.abs(u / a) ** power + np.abs(v / b) ** power) ** (1 / power)
    if rng.random() < 0.5:
        cell = int(rng.choice([4, 8, 16]))
        noise = rng.normal(size=(size // cell + 2,) * 2)
        radius = radius + 0.4 * zoom(noise, cell, order=1)[:size, :size]
    region: Field = gaussian_filter((radius < 1).astype(np.float64), rng.uniform(0.0, 2.0))
    return region
