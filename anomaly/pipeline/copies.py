"""Test images with the pixels of another: they are not drawn independently, so one of them counts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly.counted import counted
from anomaly.data import Sample, distinct_rows


def copies(samples: Sequence[Sample], keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """True for images with the label and the key (see `image_keys`) of an earlier one."""
    is_first = np.zeros(len(samples), np.bool_)
    labels = np.array([sample.label for sample in samples])
    for label in ("normal", "anomalous"):
        rows = np.flatnonzero(labels == label)
        is_first[rows[distinct_rows(keys[rows])]] = True
    return ~is_first


def copies_left_out(num: int) -> list[str]:
    """The sentence on so many copies, if there are any."""
    if not num:
        return []
    images = counted(num, "test image has", "test images have")
    return [f"{images} the same pixels and the same label as another, as the model sees them; one of them counts"]
