"""`anomaly calibrate`: an existing model gets the ranks of new normal images, as a new version, without retraining."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import Bundle, Contents, DataRecord, check_savable, save
from anomaly.calibration import Calibration, false_alarms_by_chance, is_above, num_allowed
from anomaly.config import PreprocessConfig
from anomaly.counted import counted
from anomaly.data import (
    Dataset,
    Limits,
    PixelStore,
    chunks,
    describe,
    distinct_rows,
    image_keys,
    open_dataset,
    part_keys,
    take,
)
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.defaults import ALPHA
from anomaly.errors import DataError
from anomaly.extras import WITH_TORCH, require
from anomaly.files import to_text
from anomaly.inference import Detector, load_detector
from anomaly.pipeline.enough import NO_VERDICTS, no_verdicts
from anomaly.pipeline.new_parts import known_parts, one_of_each_new
from anomaly.pipeline.reading import ReadingWatch
from anomaly.pipeline.record import sizes_of
from anomaly.times import utc_now

_MIDDLE = 0.5
_UNLIKE = "These calibration images are unlike those before: "  # how the warning begins, by which it is known again
_LOWER = "Fewer of these calibration images are anomalous than chance explains: "  # likewise
_UNREADABLE = "given to calibrate could not be read"  # likewise, a part of it

_WHY_HIGH = (
    "All calibration images must be good ones: with defective ones among them the threshold is too high, and defects "
    "are missed. If they are all good, the light, the camera or the lot has changed, and this version is right for the "
    "new images"
)
_WHY_LOW = (
    "If good images were left out because they had been flagged, the threshold is too low, and there will be more "
    "false alarms than asked for: calibrate with all good images of some hours, flagged ones too. If none was left "
    "out, the images have changed, or defective ones had calibrated before, and this version is right for the new "
    "images"
)


@dataclass(frozen=True)
class CalibrationSummary:
    """The new version; images left out because they had made the model or are copies; files that could not be read.

    `old` is the version that it is made from. With groups, `num_unused` images are left out because one picture of each
    new part calibrates. `remarks` are sentences on how files were read, and on what was left away. `unlike` warns where
    the old version calls more of the new images anomalous than chance explains, or fewer; the manifest has it, too.
    """

    bundle: Bundle
    old: Bundle
    num_seen: int
    num_copies: int
    num_failed: int
    remarks: tuple[str, ...] = ()
    num_unused: int = 0
    unlike: str | None = None


def calibrate_bundle(
    model: str | Path,
    data: str,
    *,
    normal: Sequence[str] = (),
    groups: str = "",
    device: str = "auto",
    engine: str = "auto",
    max_pixels: int = DEFAULT_LIMITS.max_pixels,
    watch: ReadingWatch = ReadingWatch(),
) -> CalibrationSummary:
    """Write the new version beside the old ones.

    Larger images than `max_pixels` count as unreadable. Images that made the model are left out: calibrating on them
    would void the guarantee on false alarms. Images that are unlike the old calibration images are used, with a
    warning: the light may have changed, or they may be defective. Of exact copies one counts, as in training. `groups`
    says which part each image shows (see `open_dataset`): then parts of which an image made the model are left out
    whole, and one picture of each other part calibrates.

    Raises:
        DataError: the data cannot be used, or no image of it is new.
        BundleError: the bundle cannot be read.  StorageError: it, or the pixels, cannot be written.
        UsageError: `groups` cannot be used; the bundle's folder is none for a model; or the bundle is of an older
            schema, and a library that makes its graph is not installed.
    """
    detector = load_detector(model, device=device, engine=engine)
    bundle = detector.bundle
    check_savable(bundle.ref.name_directory)
    contents = _with_graph(bundle)
    dataset = open_dataset(data, normal=normal, groups=groups)
    watch.on_data(describe(dataset, "calibrate"))
    with tempfile.TemporaryDirectory() as folder:
        new = _read(detector, contents, dataset, groups, Path(folder) / "pixels.u8", max_pixels, watch)
        if not len(new.rows):
            whose = "normal images" if new.parts is None else "normal images, or others of their parts,"
            raise DataError(
                f"all {len(new.keys)} {whose} of {data} were used to make {bundle.name} version {bundle.version}; "
                "calibrate with normal images that it has not seen"
            )
        calibration = Calibration.fit(_scores(detector, new))
    unlike = _unlike(bundle, calibration)
    manifest = bundle.manifest.model_copy(
        update={
            "data": _record(bundle.manifest.data, new, groups, detector.preprocess),
            "created": utc_now("seconds"),
            "warnings": [
                *_still_true(bundle, calibration),
                *_left_out(len(new.store.errors)),
                *filter(None, (unlike, no_verdicts(calibration))),
            ],
            "detectability": None,  # which was measured at the old thresholds
        }
    )
    normals = contents.normals.with_calibration(new.keys[new.rows], unused=new.keys[new.distinct])
    if new.parts is not None:
        normals = normals.with_parts(new.keys, part_keys(new.parts, groups))
    renewed = replace(contents, manifest=manifest, calibration=calibration, normals=normals)
    return CalibrationSummary(
        bundle=save(renewed, bundle.ref.name_directory, left_out=new.store.errors),
        old=bundle,
        num_seen=new.num_seen,
        num_copies=len(new.keys) - new.num_seen - len(new.distinct),
        num_failed=len(new.store.errors),
        remarks=new.remarks,
        num_unused=len(new.distinct) - len(new.rows),
        unlike=unlike,
    )


@dataclass(frozen=True)
class _NewNormals:
    """Normal images, their keys and parts, if these are known, and which of them a model has not seen.

    `num_seen` made it. Of the others `distinct` are the rows without copies, and `rows` those that calibrate, both
    ascending; `fingerprint` is that of all images.
    """

    store: PixelStore
    keys: NDArray[np.uint64]
    parts: list[str] | None
    num_seen: int
    distinct: NDArray[np.intp]
    rows: NDArray[np.intp]
    fingerprint: str
    remarks: tuple[str, ...]


def _read(
    detector: Detector,
    contents: Contents,
    dataset: Dataset,
    groups: str,
    pixels: Path,
    max_pixels: int,
    watch: ReadingWatch,
) -> _NewNormals:
    """All that can be read; the file `pixels` holds them preprocessed."""
    samples = dataset.train_normals()
    watch.on_reading(len(samples))
    limits = Limits.for_pixels(max_pixels)
    store = PixelStore.build(samples, detector.preprocess, pixels, limits=limits, on_image=watch.on_image)
    keys, parts = image_keys(store.pixels), dataset.parts_of(store.paths)
    is_seen = contents.normals.knows(keys)
    distinct = distinct_rows(keys)
    rows = distinct = distinct[~is_seen[distinct]]
    known = known_parts(dataset, [store], contents, groups, calibrates=True)
    if parts is not None:
        rows = one_of_each_new(distinct.tolist(), keys, parts, known.names)
    return _NewNormals(
        store=store,
        keys=keys,
        parts=parts,
        num_seen=int(is_seen.sum()),
        distinct=distinct,
        rows=rows,
        fingerprint=store.fingerprint(),
        remarks=(*store.remarks, *known.remarks),
    )


def _scores(detector: Detector, new: _NewNormals) -> NDArray[np.float64]:
    """Those of the images that calibrate, a few at a time."""
    images = (take(new.store.pixels, new.rows[chunk]) for chunk in chunks(len(new.rows), detector.preprocess))
    return np.concatenate([detector.evidence(few).score for few in images])


def _record(before: DataRecord, new: _NewNormals, groups: str, preprocess: PreprocessConfig) -> DataRecord:
    """The record of a version that these images calibrate."""
    return before.model_copy(
        update={
            "num_calibrate": len(new.rows),
            "calibration_fingerprint": new.fingerprint,
            "calibration_groups": to_text(groups),
            "calibration_sizes": sizes_of(new.store, new.rows.tolist(), preprocess.resize),
            "num_unused": before.num_unused + len(new.distinct) - len(new.rows),
        }
    )


def _with_graph(bundle: Bundle) -> Contents:
    """The contents with their evidence graph, which bundles of older schemas lack."""
    contents = bundle.contents
    if contents.graph is not None or bundle.manifest.recipe.needs_torch is not None:
        return contents
    require(f"{bundle.ref.path} is of schema {bundle.schema_version}; calibrating it", "torch", *WITH_TORCH)
    from anomaly.inference.evidence_onnx import with_graph  # here: only bundles of older schemas need torch for it

    return with_graph(contents)


def _still_true(bundle: Bundle, new: Calibration) -> list[str]:
    """The warnings of the old version that the new calibration does not outdate.

    Where more of the new images than chance explains score below the middle of the old ones, what was said of high
    scores no longer holds: as where a lot of defective parts had calibrated. Likewise of low ones.
    """
    old = bundle.contents.calibration
    num_above = int((old.p_values(new.scores) <= _MIDDLE).sum())
    fewest, most = false_alarms_by_chance(_MIDDLE, old.num_calibration, new.num_calibration)
    outdated = (NO_VERDICTS, *([_UNLIKE] if num_above < fewest else []), *([_LOWER] if num_above > most else []))
    return [
        warning
        for warning in bundle.manifest.warnings
        if not warning.startswith(outdated) and _UNREADABLE not in warning  # which is of the old version's images
    ]


def _unlike(bundle: Bundle, new: Calibration) -> str | None:
    """The `warning_of_unlike`; none of lower scores where the old ones were warned of as high, which explains it."""
    warning = warning_of_unlike(bundle.contents.calibration, new, bundle.version)
    was_high = any(before.startswith(_UNLIKE) for before in bundle.manifest.warnings)
    return None if warning and warning.startswith(_LOWER) and was_high else warning


def warning_of_unlike(old: Calibration, new: Calibration, version: int) -> str | None:
    """The warning that the old version calls more of the new images anomalous than chance explains, or fewer; or None.

    At the default false-alarm rate, or, where the old version has no threshold for it, at the least for which it has.
    What is expected is the rate that its threshold has, K / (n_cal + 1), which may be half of alpha. Images that have
    exactly the threshold's score are not above it, so where there are several, too few are not warned of.
    """
    alpha = max(ALPHA, old.smallest_p)
    threshold = old.threshold(alpha)
    if threshold is None:
        return None
    num_found = int(np.sum(is_above(new.scores, threshold)))
    fewest, most = false_alarms_by_chance(alpha, old.num_calibration, new.num_calibration)
    is_high, is_tied = num_found > most, sum(int((each.scores == threshold).sum()) for each in (old, new)) > 1
    if not is_high and (num_found >= fewest or is_tied):
        return None
    expected = num_allowed(alpha, old.num_calibration) / (old.num_calibration + 1) * new.num_calibration
    told = f"about {expected:.0f} are" if expected > 0.5 else "fewer than one is"
    limit = f"up to {most}" if is_high else f"no fewer than {fewest}"
    is_now = "there is none now" if (now_at := new.threshold(alpha)) is None else f"it is {now_at:.6g} now"
    return (
        f"{_UNLIKE if is_high else _LOWER}version {version} calls {num_found} of {new.num_calibration} anomalous. At a "
        f"false-alarm rate of {alpha:.3g} {told} expected, and chance explains {limit}. The "
        f"threshold was {threshold:.6g} at this rate, and {is_now}. {_WHY_HIGH if is_high else _WHY_LOW}"
    )


def _left_out(num_files: int) -> list[str]:
    """The warning that the bundle keeps, if there is anything to say."""
    if not num_files:
        return []
    return [
        f"{counted(num_files, 'file')} {_UNREADABLE}; VERSION.left_out.csv beside this bundle "
        f"names {'it' if num_files == 1 else 'them'}"
    ]
