"""Pictures of another size or shape than those that a model is for, and what is said of them.

Where pictures keep their shapes the score is that of the strongest place. Among normal pictures it is higher by chance
where there are more places: the share of them above the threshold grows about as the number of their pixels does. And a
region is laid over the whole picture, so a picture of another shape has it stretched.
"""

from math import log, prod
from typing import Protocol

from anomaly.config.region import decode_region
from anomaly.counted import Size, size_text

MOST_TIMES = 2.0
"""So many times fewer or more pixels than those that calibrated have change this share by about as much."""

_LEAST_STRETCHED = 0.05  # logarithm of the aspect ratios' quotient: 2 % are allowed, and a small region is rounded


class Calibrated(Protocol):
    """The sizes of the calibration pictures that have the fewest pixels and the most."""

    @property
    def smallest(self) -> Size: ...  # noqa: D102
    @property
    def largest(self) -> Size: ...  # noqa: D102


def size_warning(size: Size, calibrated: Calibrated | None, region: str | None) -> str | None:
    """Why the p-value of a picture of this size does not hold; None where it does.

    `calibrated` is None where all pictures become squares of one size. `region` is that of the model, as text.
    """
    said = (
        None if calibrated is None else _far_from(size, calibrated),
        None if region is None or not is_stretched(region, size) else _stretched(size),
    )
    return "; ".join(filter(None, said)) or None


def is_stretched(region: str, size: Size) -> bool:
    """Whether a picture of this size has another shape than the region."""
    (tall, wide), (height, width) = decode_region(region).shape, size
    return abs(log(width * tall / (height * wide))) > _LEAST_STRETCHED


def _far_from(size: Size, calibrated: Calibrated) -> str | None:
    if prod(size) * MOST_TIMES < prod(calibrated.smallest):
        effect = "so few places score lower by chance, and a defect may pass"
    elif prod(size) > MOST_TIMES * prod(calibrated.largest):
        effect = "so many places score higher by chance, and a normal picture may be called anomalous"
    else:
        return None
    sizes = " to ".join(dict.fromkeys(size_text(*each) for each in (calibrated.smallest, calibrated.largest)))
    return (
        f"the picture is {size_text(*size)} pixels, and this model was calibrated on {sizes}: {effect}; "
        "run `anomaly calibrate` with normal pictures of this size, or give pictures of a size that calibrated"
    )


def _stretched(size: Size) -> str:
    return (
        f"the picture is {size_text(*size)} pixels, which is another shape than that of the model's region: the region "
        "is stretched over it, so it may leave out what matters; give pictures of the shape that it was drawn for"
    )
