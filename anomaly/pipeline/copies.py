"""Test images with the pixels of another: of those with one label one counts, and two labels are a contradiction."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly.counted import counted
from anomaly.data import Sample, distinct_rows

_WHY = "Check the labels; if they are right, the defect is lost in preprocessing, as by scaling"


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


def contradictions(samples: Sequence[Sample], keys: NDArray[np.uint64], seen: NDArray[np.bool_]) -> list[str]:
    """Sentences on pixels that are normal and anomalous at once: in two test images, or as one that made the model.

    `seen` are the images that made the model.
    """
    normals: dict[int, str] = {}
    for sample, key in zip(samples, keys, strict=True):
        if sample.label == "normal":
            normals.setdefault(int(key), sample.path)
    anomalous = [row for row, sample in enumerate(samples) if sample.label == "anomalous"]
    sentences = []
    if pairs := [(normals[int(keys[row])], samples[row].path) for row in anomalous if int(keys[row]) in normals]:
        normal, other = pairs[0]
        have = counted(len(pairs), "anomalous test image has", "anomalous test images have")
        sentences.append(
            f"{have} the same pixels as a normal one, as the model sees them, such as {normal} (normal) and "
            f"{other} (anomalous): no score can tell such a pair apart. {_WHY}"
        )
    if known := [samples[row].path for row in anomalous if seen[row]]:
        have = counted(len(known), "anomalous test image has", "anomalous test images have")
        sentences.append(
            f"{have} the same pixels as a normal image that made the model, such as {known[0]}: left out. {_WHY}"
        )
    return sentences
