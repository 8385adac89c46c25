"""A region is proposed where normals have a structure in common, and nowhere else."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from anomaly.data.regions.proposal import _otsu, propose

Pictures = NDArray[np.float32]
N, SIDE = 30, 96
PART = np.zeros((SIDE, SIDE), np.bool_)
PART[30:70, 25:60] = True


def with_part(background: Pictures, *, shift: int = 0) -> Pictures:
    """A dark part with two bright bars, moved by up to `shift` pixels from picture to picture."""
    rng = np.random.default_rng(1)
    part = np.zeros((SIDE, SIDE), np.float32)
    part[PART] = 40
    part[38:44, 30:55] = part[56:62, 30:55] = 200
    pictures = background.copy()
    for picture in pictures:
        moved = tuple(rng.integers(-shift, shift + 1, 2))
        picture[np.roll(PART, moved, (0, 1))] = np.roll(part, moved, (0, 1))[np.roll(PART, moved, (0, 1))]
    return pictures + rng.normal(0, 2, pictures.shape).astype(np.float32)


def even() -> Pictures:
    return np.full((N, SIDE, SIDE), 150, np.float32)


def changing() -> Pictures:
    """Blotches of 3 pixels, elsewhere in each picture."""
    blotches = np.random.default_rng(2).uniform(90, 210, (N, SIDE // 3, SIDE // 3))
    return blotches.repeat(3, 1).repeat(3, 2).astype(np.float32)


def covers_the_part(inside: NDArray[np.bool_] | None) -> bool:
    """All of it but corners, and at most 5 pixels more at each side: about three windows."""
    assert inside is not None
    with_margin = ndimage.binary_dilation(PART, np.ones((3, 3)), iterations=5)
    return bool(inside[PART].mean() > 0.98 and not (inside & ~with_margin).any())


@pytest.mark.parametrize("shift", [0, 2])
def test_a_part_on_an_even_background(shift: int) -> None:
    inside, share = propose(with_part(even(), shift=shift))
    assert inside is not None
    assert covers_the_part(inside)
    assert share == inside.mean()


def test_a_part_on_a_background_that_changes() -> None:
    inside, _ = propose(with_part(changing()))
    assert covers_the_part(inside)


def test_textures_have_none() -> None:
    assert propose(changing()) == (None, 0.0)


def test_nor_has_a_texture_under_uneven_light() -> None:
    light = np.linspace(0.7, 1.2, SIDE, dtype=np.float32)
    assert propose(changing() * light) == (None, 0.0)


def test_nor_have_pictures_of_nothing() -> None:
    assert propose(even()) == (None, 0.0)


def test_a_part_that_fills_the_picture_has_its_share_told() -> None:
    rng = np.random.default_rng(3)
    board = rng.uniform(0, 255, (SIDE // 8, SIDE // 8)).repeat(8, 0).repeat(8, 1)
    board[:, :6] = 100  # an even margin, so that there is something to tell the board from
    inside, share = propose((board + rng.normal(0, 2, (N, SIDE, SIDE))).astype(np.float32))
    assert inside is None
    assert share > 0.8


def test_otsu_s_threshold_has_the_greatest_variance_between_the_classes() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(1, 0.5, 500), rng.normal(4, 0.8, 300)])

    def between(threshold: float) -> float:
        low, high = values[values <= threshold], values[values > threshold]
        return len(low) * len(high) * float(low.mean() - high.mean()) ** 2

    best = max(between(threshold) for threshold in np.linspace(values.min(), values.max(), 256)[1:-1])
    assert between(_otsu(values)) > 0.999 * best
