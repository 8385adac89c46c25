"""The sizes of the pictures that calibrated a model which keeps their shapes."""

from collections.abc import Iterable
from math import prod
from typing import Self

from anomaly.config import Config
from anomaly.data.size_warning import size_warning

Size = tuple[int, int]
"""Height and width in pixels, as the picture is on disk."""


class PictureSizes(Config):
    """Those of the calibration pictures that have the fewest pixels and the most."""

    smallest: Size
    largest: Size

    @classmethod
    def of(cls, sizes: Iterable[Size]) -> Self:
        """Of at least one picture."""
        rising = sorted(sizes, key=prod)
        return cls(smallest=rising[0], largest=rising[-1])

    def warning(self, height: int, width: int) -> str | None:
        """Why the p-value of a picture of this size does not hold; None where it does."""
        return size_warning((height, width), self.smallest, self.largest)
