"""The sizes of the pictures that calibrated a model, in its manifest."""

from collections.abc import Iterable
from math import prod
from typing import Self

from anomaly.config import Config, Resize
from anomaly.counted import Size
from anomaly.sizes import aspect, extent


class PictureSizes(Config):
    """The sizes, as on disk, of the calibration pictures that have the least extent and the most (see `extent`).

    And of those that are the narrowest for their height and the widest; None where pictures keep their shapes, and in
    bundles that did not keep it.
    """

    smallest: Size
    largest: Size
    narrowest: Size | None = None
    widest: Size | None = None

    @classmethod
    def of(cls, sizes: Iterable[Size], resize: Resize) -> Self:
        """The smallest and the largest of these sizes, at least one, for a model that resizes so."""
        rising = sorted(sizes, key=lambda size: (extent(size, resize), prod(size)))
        if resize is Resize.WHOLE:
            return cls(smallest=rising[0], largest=rising[-1])
        widening = sorted(rising, key=aspect)
        return cls(smallest=rising[0], largest=rising[-1], narrowest=widening[0], widest=widening[-1])
