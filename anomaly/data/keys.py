"""Short keys of preprocessed images, to recognise one that was seen before."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from anomaly.data.ragged import PixelsOfImages


def image_keys(pixels: PixelsOfImages) -> NDArray[np.uint64]:
    """(n,): the first 8 bytes of the SHA-256 of each image's 8-bit pixels."""
    digests = [hashlib.sha256(image.tobytes()).digest()[:8] for image in pixels]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def distinct_rows(keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """The rows of the images that are no copy of an earlier one, ascending."""
    return np.sort(np.unique(keys, return_index=True)[1])
