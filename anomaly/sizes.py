"""Pictures of another size or shape than those that a model is for, and what is said of them.

Where pictures keep their shapes the score is that of the strongest place. Among normal pictures it is higher by chance
where there are more places: the share of them above the threshold grows about as the number of their pixels does. Where
all become squares of one side, a picture of a shorter side is enlarged, which blurs it: if those that calibrated were
sharper, it is abnormal. A larger one is shrunk, which changes little. One of another shape is squeezed or filled up
otherwise than they were, or more of it is cut off. And a region is laid over the whole picture, so a
picture of another shape has it stretched.
"""

from math import log, prod
from typing import Protocol

from anomaly.config.choices import Resize
from anomaly.config.region import decode_region
from anomaly.counted import Size, size_text

MOST_TIMES = 2.0
"""So many times fewer or more pixels than those that calibrated have change this share by about as much."""
MOST_ENLARGED = 1.1
"""So many times as much as those that calibrated a picture may be enlarged."""

MOST_OTHER_SHAPE = 1.2
"""A picture may be so many times as wide for its height as those that calibrated a model of squares, or as narrow."""

_LEAST_STRETCHED = 0.05  # logarithm of the aspect ratios' quotient: 2 % are allowed, and a small region is rounded


class Calibrated(Protocol):
    """The sizes of the calibration pictures that have the least extent and the most (see `extent`).

    And of the narrowest and the widest for their height, or None.
    """

    @property
    def smallest(self) -> Size: ...  # noqa: D102
    @property
    def largest(self) -> Size: ...  # noqa: D102
    @property
    def narrowest(self) -> Size | None: ...  # noqa: D102
    @property
    def widest(self) -> Size | None: ...  # noqa: D102


class Scaling(Protocol):
    """What a model's preprocessing says of sizes: a recipe's section `preprocess`, or what an export has of it."""

    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def resize(self) -> Resize: ...  # noqa: D102
    @property
    def region(self) -> str | None: ...  # noqa: D102


def extent(size: Size, resize: Resize) -> int:
    """By how much pictures differ for a model: their pixels, or the side that says how far they are enlarged."""
    match resize:
        case Resize.WHOLE:
            return prod(size)
        case Resize.PAD:
            return max(size)
        case Resize.CROP | Resize.STRETCH:
            return min(size)


def aspect(size: Size) -> float:
    """How many times as wide as high."""
    return size[1] / size[0]


def range_text(calibrated: Calibrated) -> str:
    """From the smallest to the largest, or the one size that there is."""
    return " to ".join(dict.fromkeys(size_text(*each) for each in (calibrated.smallest, calibrated.largest)))


def size_warning(size: Size, calibrated: Calibrated | None, model: Scaling) -> str | None:
    """Why the p-value of a picture of this size does not hold; None where it does.

    `calibrated` is None where those sizes are not known.
    """
    said = [None if calibrated is None else _unlike(size, calibrated, model)]
    if model.region is not None and is_stretched(model.region, size):
        said.append(_stretched(size))
    elif calibrated is not None:
        said.append(_of_other_shape(size, calibrated, model))
    return "; ".join(filter(None, said)) or None


def is_stretched(region: str, size: Size) -> bool:
    """Whether a picture of this size has another shape than the region."""
    (tall, wide), (height, width) = decode_region(region).shape, size
    return abs(log(width * tall / (height * wide))) > _LEAST_STRETCHED


def _unlike(size: Size, calibrated: Calibrated, model: Scaling) -> str | None:
    own, least, most = (extent(each, model.resize) for each in (size, calibrated.smallest, calibrated.largest))
    if model.resize is not Resize.WHOLE:
        if own * MOST_ENLARGED >= min(least, model.size):
            return None
        square = size_text(model.size, model.size)
        effect = f"enlarged to the model's {square} it is blurred, and a normal picture may be called anomalous"
    elif own * MOST_TIMES < least:
        effect = "so few places score lower by chance, and a defect may pass"
    elif own > MOST_TIMES * most:
        effect = "so many places score higher by chance, and a normal picture may be called anomalous"
    else:
        return None
    return (
        f"the picture is {size_text(*size)} pixels, and this model was calibrated on {range_text(calibrated)}: "
        f"{effect}; run `anomaly calibrate` with normal pictures of this size, or give pictures of a size that "
        "calibrated"
    )


def _of_other_shape(size: Size, calibrated: Calibrated, model: Scaling) -> str | None:
    if calibrated.narrowest is None or calibrated.widest is None:
        return None
    shapes = [calibrated.narrowest, calibrated.widest]
    least, own, most = (aspect(each) for each in (shapes[0], size, shapes[1]))
    square = size_text(model.size, model.size)
    match model.resize:
        case Resize.WHOLE:
            return None
        case Resize.CROP:
            least, most = min(least, 1 / most), max(most, 1 / least)
            effect = "the model sees the square in the middle, and more is cut off than of those: a defect may pass"
        case Resize.PAD:
            effect = f"the model's {square} are filled up otherwise, and a normal picture may be called anomalous"
        case Resize.STRETCH:
            effect = f"squeezed into the model's {square} it looks otherwise, and a normal one may be called anomalous"
    if least / MOST_OTHER_SHAPE <= own <= most * MOST_OTHER_SHAPE:
        return None
    known = " to ".join(dict.fromkeys(size_text(*each) for each in shapes))
    return (
        f"the picture is {size_text(*size)} pixels, which is another shape than those that calibrated this model have "
        f"({known}): {effect}; give pictures of their shape, or run `anomaly calibrate` with normal pictures of this "
        "shape"
    )


def _stretched(size: Size) -> str:
    return (
        f"the picture is {size_text(*size)} pixels, which is another shape than that of the model's region: the region "
        "is stretched over it, so it may leave out what matters; give pictures of the shape that it was drawn for"
    )
