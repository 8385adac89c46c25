"""Kinds of synthetic defects, drawn into normal images, and the masks that say where.

Nothing abnormal is needed to make them, and no defect of any data set is copied: pieces of other normals cut out and
pasted (CutPaste: Li 2021), or blended in at the same brightness (NSA: Schlüter 2022); thin wandering lines; blots; soft
shades; large uneven parts, as smooth noise draws them (DRAEM: Zavrtanik 2021); texture that is rougher, flatter, softer
or bent. Most are faint. A place counts as spoilt only if the change can be seen: if its pixels have changed by more
than half of the texture around, within bounds.
Shapes: x and donor (c, h, w) float32 in [-1, 1]; masks (h, w).
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

Image = NDArray[np.float32]
Field = NDArray[np.float64]

MAX_WRONG = 3  # defects in an image
LEAST_VISIBLE, VISIBLE = 0.03, 0.08  # of the range [-1, 1], after a blur of one pixel: on an even place, on a rough one


def spoil(
    x: Image,
    donor: Image,
    rng: np.random.Generator,
    kinds: Sequence[str] = (),
    inside: NDArray[np.bool_] | None = None,
) -> tuple[Image, NDArray[np.bool_]]:
    """The image with one to three defects, and where they can be seen; `kinds` are names in KINDS, by default all.

    What does not lie `inside` (h, w) stays as it is, and counts as normal. Perhaps nothing can be seen then.
    """
    spoilt, names = x, kinds or tuple(KINDS)
    for _ in range(rng.integers(1, MAX_WRONG + 1)):
        wrong = KINDS[names[int(rng.integers(len(names)))]]
        spoilt = wrong(spoilt, donor, rng).clip(-1, 1).astype(np.float32)
    if inside is not None:
        spoilt = np.where(inside, spoilt, x)
    change = gaussian_filter(np.abs(spoilt - x).max(axis=0), 1.0)
    texture = gaussian_filter(np.abs(x - gaussian_filter(x, (0, 3, 3))).max(axis=0), 3.0)
    visible: NDArray[np.bool_] = change > (texture / 2).clip(LEAST_VISIBLE, VISIBLE)
    return spoilt, visible if inside is None else visible & inside


def _paste(x: Image, donor: Image, rng: np.random.Generator) -> Field:
    """A region of another image, rotated or not, mostly at the mean brightness of what it covers."""
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
    shade = _wide_blur(_region(rng, size), rng.uniform(size / 32, size / 6))
    shaded: Field = x + shade / (shade.max() + 1e-6) * _step(x, rng, 0.15, 0.6)
    return shaded


def _uneven(x: Image, donor: Image, rng: np.random.Generator) -> Field:
    """Large parts of any outline darker or brighter, their texture as it was or blurred."""
    size = x.shape[-1]
    field = _smooth_noise(rng, size, size // int(rng.integers(3, 9)))
    part = (field > np.quantile(field, rng.uniform(0.6, 0.9))).astype(np.float64)
    cover = gaussian_filter(part, rng.choice([1, 4, 10]) * size / 256)
    rubbed = _soften(x, rng.uniform(1, 3), rng.uniform(1, 3)) if rng.random() < 0.5 else x
    uneven: Field = x * (1 - cover) + (rubbed + _step(x, rng, 0.1, 0.4)) * cover
    return uneven


def _grain(x: Image, donor: Image, rng: np.random.Generator) -> Field:
    """Rough places: noise with grains of one to a few pixels."""
    noise = gaussian_filter(rng.normal(size=x.shape[-2:]), rng.choice([0, 1, 2]))
    rough: Field = x + _region(rng, x.shape[-1]) * noise / noise.std() * rng.uniform(0.1, 0.3)
    return rough


def _contrast(x: Image, donor: Image, rng: np.random.Generator) -> Field:
    """The same texture with less contrast, or with more."""
    size = x.shape[-1]
    factor = rng.uniform(0.2, 0.6) if rng.random() < 0.5 else rng.uniform(1.6, 2.6)
    changed: Field = x + _region(rng, size) * (factor - 1) * (x - _wide_blur(x, size / 20))
    return changed


def _blurred(x: Image, donor: Image, rng: np.random.Generator) -> Field:
    """Out of focus, or smeared along rows or columns."""
    down, across = np.exp(rng.uniform(math.log(0.3), math.log(8.0), 2))
    return x + _region(rng, x.shape[-1]) * (_soften(x, down, across) - x)


def _bent(x: Image, donor: Image, rng: np.random.Generator) -> Field:
    """Texture displaced by some pixels, differently at each place."""
    size = x.shape[-1]
    cover = gaussian_filter(_region(rng, size), size / 80)
    reach = rng.uniform(0.01, 0.03) * size
    shifts = [reach * cover * _smooth_noise(rng, size, max(size // 12, 2)) for _ in range(2)]
    places = [axis + shift for axis, shift in zip(np.mgrid[:size, :size], shifts, strict=True)]
    return np.stack([map_coordinates(channel, places, order=1, mode="nearest") for channel in x])


KINDS: Mapping[str, Callable[[Image, Image, np.random.Generator], Field]] = {
    "paste": _paste,
    "line": _line,
    "blot": _blot,
    "shade": _shade,
    "uneven": _uneven,
    "grain": _grain,
    "contrast": _contrast,
    "blurred": _blurred,
    "bent": _bent,
}


def _soften(x: Image, down: float, across: float) -> Field:
    softened: Field = gaussian_filter(x.astype(np.float64), (0.0, down, across))
    return softened


def _wide_blur(field: NDArray[np.floating], sigma: float) -> Field:
    """A Gaussian blur of the last two axes, whose sides 8 divides, by means of 4 × 4: sigma is some times as wide."""
    *_, height, width = field.shape
    means = field.reshape(*field.shape[:-2], height // 4, 4, width // 4, 4).mean(axis=(-3, -1), dtype=np.float64)
    plain = (0.0,) * (field.ndim - 2)
    blurred = gaussian_filter(means, (*plain, sigma / 4, sigma / 4), mode="nearest")
    wide: Field = zoom(blurred, (*(1,) * len(plain), 4, 4), order=1, mode="nearest", grid_mode=True)
    return wide


def _smooth_noise(rng: np.random.Generator, size: int, cell: int) -> Field:
    """(size, size): normal noise of standard deviation 1, which changes over `cell` pixels."""
    noise = zoom(rng.normal(size=(size // cell + 3,) * 2), cell, order=3)[:size, :size]
    scaled: Field = noise / noise.std()
    return scaled


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
