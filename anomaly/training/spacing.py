"""Which of many rows stand for all of them."""

import numpy as np
from numpy.typing import NDArray


def evenly_spaced(num: int, most: int) -> NDArray[np.int64]:
    """The numbers of at most `most` of `num` rows, ascending: from the first to the last, evenly spaced."""
    return np.linspace(0, num - 1, min(num, most)).round().astype(np.int64)
