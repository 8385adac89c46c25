"""Where white is in pictures of 16 bits: cameras of 10, 12 or 14 bits store their values in 16 without scaling them.

The files do not say so. Hence the training images decide: the range is the smallest number of bits that holds all their
values, and the bundle keeps it (`preprocess.range`). Files that declare fewer than 16 bits need no such guess.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.errors import ValueRangeError

RANGES = (8, 10, 12, 14, 16)
FULL_RANGE = 16
Values = NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16."""


def range_for(peak: int) -> int:
    """The smallest range, in bits, that holds values up to `peak`."""
    return next(bits for bits in RANGES if peak < 1 << bits)


def narrow(values: Values, bits: int, *, name: str) -> NDArray[np.uint8]:
    """Values from 0 to 2^bits − 1 as 0 to 255, rounded.

    Colour of the full 16 bits keeps its upper 8 bits, as PIL reads it and as bundles before there were ranges read it.

    Raises:
        ValueRangeError: a value lies beyond the range.
    """
    if bits == FULL_RANGE and values.ndim == 3:
        return (values >> 8).astype(np.uint8)
    peak = int(values.max(initial=0))
    if peak >= 1 << bits:
        raise ValueRangeError(
            f"{name}: has values up to {peak:,}, beyond the range of the training images, which is {(1 << bits) - 1:,} "
            f"({bits} bits): scale it as they are scaled, or train with preprocess.range={range_for(peak)}"
        )
    return to_8_bits(values, (1 << bits) - 1)


def to_8_bits(values: Values, white: int) -> NDArray[np.uint8]:
    """Values from 0 to `white` as 0 to 255, rounded; what lies beyond `white` is white."""
    table = (np.arange(white + 1, dtype=np.uint32) * 510 + white) // (2 * white)
    scaled: NDArray[np.uint8] = table.astype(np.uint8)[np.minimum(values, white)]
    return scaled
