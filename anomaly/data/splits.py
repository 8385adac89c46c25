"""Normal images decide, in three disjoint sets (law 5): to train on, to select by, to calibrate with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.data.keys import distinct_rows
from anomaly.errors import DataError

_MIN_IMAGES = 20
_CALIBRATE_WANTED = 99  # the smallest number that allows a false-alarm rate of 1 %: alpha ≥ 1 / (n + 1)
_SELECT_WANTED = 50


@dataclass(frozen=True)
class NormalSplit:
    """Indices into the normal images, each list sorted; together they contain each distinct image once."""

    train: list[int]
    select: list[int]
    calibrate: list[int]


def split_distinct(keys: NDArray[np.uint64], *, seed: int) -> NormalSplit:
    """The three sets of images with these keys (see `image_keys`). Of exact copies only the first is in a set.

    Else a picture could be in two sets, and the thresholds would be set on what was trained on. Images without copies
    are drawn as `split_normals` draws them.

    Raises:
        DataError: fewer than 20 distinct images.
    """
    rows = distinct_rows(keys)
    if len(rows) < min(_MIN_IMAGES, len(keys)):
        raise DataError(
            f"of {len(keys)} normal images {len(rows)} are distinct, the others are exact copies; expected at least "
            f"{_MIN_IMAGES} distinct ones, because some are held out to select and to calibrate: add normal images"
        )
    drawn = split_normals(len(rows), seed=seed)
    return NormalSplit(*(rows[indices].tolist() for indices in (drawn.train, drawn.select, drawn.calibrate)))


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
