"""The normal images that made a model, found again in data: each stays in the set that it was in (law 5)."""

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import Bundle, NormalRecord, NormalSet
from anomaly.counted import counted
from anomaly.data import NormalSplit, distinct_rows
from anomaly.data.splits import MIN_SELECT
from anomaly.errors import DataError

_SETS = {
    NormalSet.TRAIN: "trained",
    NormalSet.SELECT: "selected",
    NormalSet.CALIBRATE: "calibrated",
}
_LEAST = {NormalSet.TRAIN: 2, NormalSet.SELECT: MIN_SELECT, NormalSet.CALIBRATE: 1}


def kept_sets(
    record: NormalRecord, keys: NDArray[np.uint64], defects: NDArray[np.uint64], bundle: Bundle, data: str
) -> NormalSplit:
    """The rows of normal images with these keys, by the sets that they were in.

    One that has the key of a labelled defect is in none: no image that teaches may set thresholds.

    Raises:
        DataError: too few of them made the model.
    """
    distinct = distinct_rows(keys)
    distinct = distinct[~np.isin(keys[distinct], defects)]
    places = np.searchsorted(record.keys, keys[distinct]).clip(max=len(record.keys) - 1)
    is_known = record.keys[places] == keys[distinct]
    sets = np.where(is_known, record.sets[places], NormalSet.UNKNOWN)
    of = {each: distinct[sets == each].tolist() for each in (*_SETS, NormalSet.REPORT)}
    for normal_set, least in _LEAST.items():
        if len(of[normal_set]) < least:
            raise too_few(len(of[normal_set]), normal_set, bundle, data)
    return NormalSplit(*(of[each] for each in (*_SETS, NormalSet.REPORT)))


def too_few(num: int, normal_set: NormalSet, bundle: Bundle, data: str) -> DataError:
    """The error where data have `num` of the normals of this set, and that is too few."""
    return DataError(
        f"{data} has {counted(num, 'normal image')} that {_SETS[normal_set]} {bundle.name} version {bundle.version}; "
        f"expected at least {_LEAST[normal_set]}. Give the data that the model was made from, with labelled defects "
        "added, and with the same --normal"
    )


def missing(split: NormalSplit, bundle: Bundle) -> list[str]:
    """Warnings of normal images that made the model and are not at hand."""
    found = {NormalSet.SELECT: split.select, NormalSet.CALIBRATE: split.calibrate}
    warnings = []
    for normal_set, rows in found.items():
        num = int((bundle.contents.normals.sets == normal_set).sum())
        if len(rows) < num:
            warnings.append(
                f"{num - len(rows):,} of {counted(num, 'image')} that {_SETS[normal_set]} version {bundle.version} are "
                "not in the data as normal ones, or could not be read; the new version has the other "
                f"{len(rows):,}"
            )
    data = bundle.manifest.data
    if data.calibration_fingerprint != data.fingerprint:
        warnings.append(
            f"version {bundle.version} was given other images to calibrate after its training. The new version is "
            "calibrated by those of them that are in the data, and by those that calibrated in training. Add to the "
            f"data's normal images what is missing, and refine version {bundle.version} again"
        )
    return warnings


def known_as_normal(record: NormalRecord, keys: NDArray[np.uint64]) -> list[str]:
    """A warning of labelled defects that made the model as normal images."""
    num = int(np.isin(keys, record.keys[record.sets != NormalSet.LABELLED]).sum())
    if not num:
        return []
    return [
        f"{counted(num, 'labelled defect is an image', 'labelled defects are images')} that made the model as normal "
        "ones. They teach as defects now, and none of them calibrates or selects any more. What the training had "
        "learnt from them as normal stays: train the model again without them"
    ]
