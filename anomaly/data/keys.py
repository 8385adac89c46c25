"""Short keys of preprocessed images, and of the names of parts, to recognise one that was seen before."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly.data.ragged import PixelsOfImages


def image_keys(pixels: PixelsOfImages) -> NDArray[np.uint64]:
    """(n,): the first 8 bytes of the SHA-256 of each image's 8-bit pixels."""
    digests = [hashlib.sha256(image.tobytes()).digest()[:8] for image in pixels]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def part_keys(parts: Sequence[str], groups: str) -> NDArray[np.uint64]:
    """(n,): the first 8 bytes of the SHA-256 of each part's name, and of the option --groups that found it.

    So the same name by another expression, which may be another part, has another key.
    """
    digests = [hashlib.sha256(f"{groups}\0{part}".encode(errors="surrogatepass")).digest()[:8] for part in parts]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def distinct_rows(keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """The rows of the images that are no copy of an earlier one, ascending."""
    return np.sort(np.unique(keys, return_index=True)[1])
