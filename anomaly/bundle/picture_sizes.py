"""The sizes of the pictures that calibrated a model, in its manifest."""

from collections.abc import Iterable
from math import prod
from typing import Self

from anomaly.config import Config, Resize
from anomaly.counted import Size
from anomaly.sizes import extent


class PictureSizes(Config):
    """The sizes, as on disk, of the calibration pictures that have the least extent and the most (see `extent`)."""

    smallest: Size
    largest: Size

    @classmethod
    def of(cls, sizes: Iterable[Size], resize: Resize) -> Self:
        """The smallest and the largest of these sizes, at least one, for a model that resizes so."""
        rising = sorted(sizes, key=lambda size: (extent(size, resize), prod(size)))
        return cls(smallest=rising[0], largest=rising[-1])
