"""Normal images decide, in three disjoint sets (law 5): to train on, to select by, to calibrate with."""

from dataclasses import dataclass

import numpy as np

from anomaly.errors import DataError

_MIN_IMAGES = 20
_CALIBRATE_WANTED = 99  # the smallest number that allows a false-alarm rate of 1 %: alpha ≥ 1 / (n + 1)
_SELECT_WANTED = 50


@dataclass(frozen=True)
class NormalSplit:
    """Indices into the normal images, each list sorted; together they contain each image once."""

    train: list[int]
    select: list[int]
    calibrate: list[int]


def split_normals(n: int, *, seed: int) -> NormalSplit:
    """Draws the three sets; the same n and seed draw the same.

    A tenth calibrates, but of few images more: up to 99, though at most a quarter. A tenth selects, but of few images
    more: up to 50, though at most 15 %. The rest trains.

    Raises:
        DataError: fewer than 20 images.
    """
    if n < _MIN_IMAGES:
        raise DataError(
            f"there are {n} normal images; expected at least {_MIN_IMAGES}, because some are held out to select and to "
            "calibrate: add normal images"
        )
    num_calibrate = max(n // 10, min(_CALIBRATE_WANTED, n // 4))
    num_select = max(n // 10, min(_SELECT_WANTED, n * 15 // 100))
    drawn = np.random.default_rng(seed).permutation(n)
    calibrate, select, train = np.split(drawn, [num_calibrate, num_calibrate + num_select])
    return NormalSplit(*(sorted(indices.tolist()) for indices in (train, select, calibrate)))
