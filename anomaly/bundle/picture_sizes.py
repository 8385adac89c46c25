"""The sizes of the pictures that calibrated a model which keeps their shapes, in its manifest."""

from collections.abc import Iterable
from math import prod
from typing import Self

from anomaly.config import Config
from anomaly.counted import Size


class PictureSizes(Config):
    """The sizes of the calibration pictures that have the fewest pixels and the most."""

    smallest: Size
    largest: Size

    @classmethod
    def of(cls, sizes: Iterable[Size]) -> Self:
        """The smallest and the largest of these sizes, at least one."""
        rising = sorted(sizes, key=prod)
        return cls(smallest=rising[0], largest=rising[-1])
