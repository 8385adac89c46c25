"""Pictures of one drawn part, each shifted and turned a little; the pose of each is known."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 144, 192


class TurnedPart(NamedTuple):
    """Pixels (1, HEIGHT, WIDTH), and where points (row, column) of it lie in the part as it is designed, in pixels."""

    pixels: NDArray[np.uint8]
    to_design: NDArray[np.float64]


def draw_part(number: int, *, degrees: float = 1.0, shift: float = 3.0, noise: float = 3.0) -> TurnedPart:
    """The part turned and shifted by up to so much, by its number; number 0 is as it is designed."""
    rng = np.random.default_rng((18, number))
    turn, (right, down) = np.deg2rad(rng.uniform(-degrees, degrees)), rng.uniform(-shift, shift, 2)
    if number == 0:
        turn = right = down = 0.0
    cosine, sine, x, y = np.cos(turn), np.sin(turn), WIDTH / 2, HEIGHT / 2
    to_design = np.array(
        [
            [cosine, -sine, x - cosine * x + sine * y + right],
            [sine, cosine, y - sine * x - cosine * y + down],
        ]
    )
    moved = _design().transform(
        (WIDTH, HEIGHT), Image.Transform.AFFINE, tuple(to_design.ravel()), Image.Resampling.BICUBIC, fillcolor=90
    )
    light = 1 + 0.1 * rng.uniform(-1, 1) * np.linspace(-1, 1, WIDTH)
    levels = np.asarray(moved, np.float64) * light + rng.normal(0, noise, (HEIGHT, WIDTH))
    return TurnedPart(np.rint(levels).clip(0, 255).astype(np.uint8)[None], to_design)


def _design() -> Image.Image:
    rng = np.random.default_rng(18)
    levels = np.full((HEIGHT, WIDTH), 90, np.uint8)
    for _ in range(60):
        top, left = rng.integers(8, HEIGHT - 24), rng.integers(8, WIDTH - 32)
        height, width = rng.integers(4, 18, 2)
        levels[top : top + height, left : left + width] = rng.integers(40, 220)
    return Image.fromarray(levels)
