"""The sizes of the pictures that calibrated a model which keeps their shapes, and what is said of other sizes.

The score is that of the strongest place. Among normal pictures it is higher by chance where there are more places: the
share of them above the threshold grows about as the number of their pixels does.
"""

from collections.abc import Iterable
from math import prod
from typing import Self

from anomaly.config import Config
from anomaly.counted import Size, size_text

MOST_TIMES = 2.0
"""So many times fewer or more pixels than those that calibrated have change this share by about as much."""


class PictureSizes(Config):
    """The sizes of the calibration pictures that have the fewest pixels and the most."""

    smallest: Size
    largest: Size

    @classmethod
    def of(cls, sizes: Iterable[Size]) -> Self:
        """The smallest and the largest of these sizes, at least one."""
        rising = sorted(sizes, key=prod)
        return cls(smallest=rising[0], largest=rising[-1])

    def warning(self, height: int, width: int) -> str | None:
        """Why the p-value of a picture of this size does not hold; None where it does."""
        if height * width * MOST_TIMES < prod(self.smallest):
            effect = "so few places score lower by chance, and a defect may pass"
        elif height * width > MOST_TIMES * prod(self.largest):
            effect = "so many places score higher by chance, and a normal picture may be called anomalous"
        else:
            return None
        sizes = " to ".join(dict.fromkeys(size_text(*size) for size in (self.smallest, self.largest)))
        return (
            f"the picture is {size_text(height, width)} pixels, and this model was calibrated on {sizes}: {effect}; "
            "run `anomaly calibrate` with normal pictures of this size, or give pictures of a size that calibrated"
        )
