"""One picture of each part that a model has not seen: it stands for the part where ranks count parts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import NormalRecord
from anomaly.data import Dataset, PixelsOfImages, PixelStore, Sample, image_keys, one_of_each


def known_parts(dataset: Dataset, stores: Sequence[PixelStore], normals: NormalRecord) -> set[str]:
    """The parts of which one of these images made the model. Images of anomalies have no part."""
    return {
        dataset.parts[path]
        for store in stores
        for path, known in zip(store.paths, normals.knows(image_keys(store.pixels)), strict=True)
        if known and path in dataset.parts
    }


def parts_shown(dataset: Dataset, samples: Sequence[Sample]) -> list[str] | None:
    """The part of each image, "" of an anomaly that has none; None without parts."""
    return [dataset.parts.get(sample.path, sample.group) for sample in samples] if dataset.parts else None


def one_of_each_new(
    rows: Sequence[int], keys: NDArray[np.uint64], parts: Sequence[str], known: set[str]
) -> NDArray[np.intp]:
    """Of the rows, one of each part that is not known, ascending (see `one_of_each`)."""
    new = np.array([row for row in rows if parts[row] not in known], np.intp)
    return new[one_of_each(keys[new], [parts[row] for row in new])] if len(new) else new


def counted_normals(
    dataset: Dataset, samples: Sequence[Sample], pixels: PixelsOfImages, known: set[str]
) -> NDArray[np.bool_] | None:
    """True for the test images on which false alarms are counted; None without parts."""
    if not dataset.parts:
        return None
    rows = [row for row, sample in enumerate(samples) if sample.label == "normal"]
    parts = [dataset.parts.get(sample.path, "") for sample in samples]
    counted = np.zeros(len(samples), np.bool_)
    counted[one_of_each_new(rows, image_keys(pixels), parts, known)] = True
    return counted
