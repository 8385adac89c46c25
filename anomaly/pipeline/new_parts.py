"""One picture of each part that a model has not seen: it stands for the part where ranks count parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import Contents
from anomaly.data import Dataset, PixelsOfImages, PixelStore, Sample, image_keys, one_of_each, part_keys
from anomaly.files import to_text
from anomaly.pipeline.record import groups_forgotten, parts_unknown


@dataclass(frozen=True)
class KnownParts:
    """The parts of a data set that made a model, and sentences on those that cannot be known."""

    names: frozenset[str]
    remarks: tuple[str, ...]


def known_parts(
    dataset: Dataset, stores: Sequence[PixelStore], contents: Contents, groups: str, *, calibrates: bool = False
) -> KnownParts:
    """By their names, where the same `groups` found them, and by these images, if they made the model.

    Images of anomalies have no part. Where the images calibrate, those that calibrated before them are of no matter.
    """
    data, normals = contents.manifest.data, contents.normals
    if not dataset.parts:
        forgotten = groups_forgotten(data, groups)
        return KnownParts(frozenset(), (forgotten,) if forgotten else ())
    keys = [image_keys(store.pixels) for store in stores]
    by_image = {
        dataset.parts[path]
        for store, own in zip(stores, keys, strict=True)
        for path, known in zip(store.paths, normals.knows(own), strict=True)
        if known and path in dataset.parts
    }
    names = sorted(set(dataset.parts.values()))
    by_name = compress(names, np.isin(part_keys(names, groups), normals.parts))
    unknown = parts_unknown(
        data.groups,
        data.groups if calibrates else data.calibration_groups,
        to_text(groups),
        lacks_parts=normals.lacks_parts,
    )
    if np.isin(normals.keys, np.concatenate(keys)).all():  # the images tell all parts
        unknown = None
    return KnownParts(frozenset(by_image.union(by_name)), (unknown,) if unknown else ())


def parts_shown(dataset: Dataset, samples: Sequence[Sample]) -> list[str] | None:
    """The part of each image, "" of an anomaly that has none; None without parts."""
    return [dataset.parts.get(sample.path, sample.group) for sample in samples] if dataset.parts else None


def one_of_each_new(
    rows: Sequence[int], keys: NDArray[np.uint64], parts: Sequence[str], known: frozenset[str]
) -> NDArray[np.intp]:
    """One row of each part that is not known, ascending (see `one_of_each`)."""
    new = np.array([row for row in rows if parts[row] not in known], np.intp)
    return new[one_of_each(keys[new], [parts[row] for row in new])] if len(new) else new


def counted_normals(
    dataset: Dataset, samples: Sequence[Sample], pixels: PixelsOfImages, known: frozenset[str]
) -> NDArray[np.bool_] | None:
    """True for the test images on which false alarms are counted; None without parts."""
    if not dataset.parts:
        return None
    rows = [row for row, sample in enumerate(samples) if sample.label == "normal"]
    parts = [dataset.parts.get(sample.path, "") for sample in samples]
    counted = np.zeros(len(samples), np.bool_)
    counted[one_of_each_new(rows, image_keys(pixels), parts, known)] = True
    return counted
