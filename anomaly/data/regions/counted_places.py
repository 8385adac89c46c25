"""Which places of a preprocessed picture are inside of the region."""

import numpy as np
from numpy.typing import NDArray

from anomaly.config.places import PLACE
from anomaly.config.region import OUTSIDE
from anomaly.data.decoding.decode import Pixels


def counted_places(image: Pixels) -> NDArray[np.bool_]:
    """Which places of an image (c, h, w) are inside of the region, by a pixel at least: (h/8, w/8).

    What lies outside was made grey before all else (see `data.preprocess`). Of an image that is nothing else all count.
    """
    channels, height, width = image.shape
    squares = image.reshape(channels, height // PLACE, PLACE, width // PLACE, PLACE)
    counted: NDArray[np.bool_] = (squares != OUTSIDE).any(axis=(0, 2, 4))
    return counted if counted.any() else ~counted
