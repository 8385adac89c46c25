"""What a bundle records of the normal images that made it, and the sentences that say so."""

import hashlib
from collections.abc import Iterable, Sequence

from anomaly.bundle import DataRecord
from anomaly.bundle.picture_sizes import PictureSizes
from anomaly.config import Resize
from anomaly.counted import counted
from anomaly.data import Dataset, NormalSplit, PixelStore
from anomaly.files import to_text


def data_record(
    dataset: Dataset, store: PixelStore, split: NormalSplit, *, normal: Sequence[str], groups: str, resize: Resize
) -> DataRecord:
    """The record of a training: `normal` and `groups` as the options were given, `resize` as the recipe has it."""
    fingerprint, parts = store.fingerprint(), dataset.parts_of(store.paths)
    return DataRecord(
        source=to_text(dataset.name),
        form=dataset.form,
        normal=list(map(to_text, normal)),
        num_train=len(split.train),
        num_select=len(split.select),
        num_calibrate=len(split.calibrate),
        num_report=len(split.report),
        num_left_out=len(store.errors),
        num_copies=len(store.pixels) - split.num_distinct,
        groups=to_text(groups),
        calibration_groups=to_text(groups),
        num_train_parts=_num_parts(parts, split.train),
        num_select_parts=_num_parts(parts, split.select),
        num_unused=len(split.unused),
        fingerprint=fingerprint,
        calibration_fingerprint=fingerprint,
        calibration_sizes=sizes_of(store, split.calibrate, resize),
    )


def sizes_of(store: PixelStore, rows: Iterable[int], resize: Resize) -> PictureSizes:
    """The sizes of the images that calibrate."""
    return PictureSizes.of((store.sizes[row] for row in rows), resize)


def identity(record: DataRecord, parts: Sequence[str] | None) -> str:
    """What a run that is resumed must have in common with the run before: the images and, by --groups, their parts."""
    if parts is None:
        return record.fingerprint
    return f"{record.fingerprint} {hashlib.sha256(repr(list(parts)).encode()).hexdigest()}"


def sets_sentences(data: DataRecord) -> list[str]:
    """How many images, and of how many parts, are in each set, and what was left out."""
    report = f", {data.num_report:,} to report on" if data.num_report else ""
    sentences = [
        f"normal images: {data.num_train:,} to train, {data.num_select:,} to select, {data.num_calibrate:,} to "
        f"calibrate{report}"
    ]
    if data.groups:
        sentences.append(
            f"parts, by --groups {data.groups}: {data.num_train_parts:,} to train, {data.num_select_parts:,} to "
            f"select, {data.num_calibrate:,} to calibrate{report}; p-values and false-alarm rates are for pictures of "
            "new parts"
        )
    if data.num_unused:
        task = "calibrate or report" if data.num_report else "calibrate"
        sentences.append(
            f"{counted(data.num_unused, 'image is', 'images are')} used for nothing: of each part to {task}, one "
            "picture counts"
        )
    if data.num_copies:
        sentences.append(_copies_left_out(data))
    return sentences


def groups_forgotten(data: DataRecord, groups: str) -> str | None:
    """The warning where a model's parts were told apart, and those of the data at hand are not; else None."""
    if groups or not data.calibration_groups:
        return None
    return (
        f"this model was calibrated with --groups {data.calibration_groups}, so its false-alarm rates are for pictures "
        "of new parts, one each; without --groups, every picture counts here, and pictures of one part are alike: give "
        "--groups too"
    )


def parts_unknown(trained: str, calibrated: str, groups: str, *, lacks_parts: bool) -> str | None:
    """The warning where the parts that made a model cannot be found by the names that `groups` gives; else None.

    `trained` and `calibrated` are the options --groups that made it. `lacks_parts` says whether the bundle does not
    know the parts that trained (see `NormalRecord`).
    """
    again = "train"
    if trained != groups or calibrated != groups:
        how = f"trained {_by(trained)}" + ("" if calibrated == trained else f" and calibrated {_by(calibrated)}")
        why = f"this model was {how}; --groups is {groups} here, so the names of its parts may be others"
        again = "calibrate" if trained == groups and not lacks_parts else "train"
    elif lacks_parts:
        why = "this model was made by a version of anomaly that did not keep the names of its parts"
    else:
        return None
    return (
        f"{why}. A part that made the model is known only by those of its pictures that did, where DATA has them "
        "again. Further pictures of such a part are taken for a new part, and then false-alarm rates are not those of "
        f"new parts: give pictures of other parts only, or {again} again with this --groups"
    )


def _by(groups: str) -> str:
    return f"with --groups {groups}" if groups else "without --groups"


def _num_parts(parts: Sequence[str] | None, rows: Sequence[int]) -> int:
    return len({parts[row] for row in rows}) if parts else 0


def _copies_left_out(data: DataRecord) -> str:
    num_distinct = data.num_train + data.num_select + data.num_calibrate + data.num_report + data.num_unused
    num_images = num_distinct + data.num_copies
    copies = counted(data.num_copies, "exact copy", "exact copies")
    return f"{num_images:,} images, {num_distinct:,} distinct; {copies} left out"
