"""`anomaly calibrate`: an existing model gets the ranks of new normal images, as a new version, without retraining."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from anomaly.bundle import Bundle, Contents, now, save
from anomaly.calibration import Calibration, false_alarms_by_chance, is_above, num_allowed
from anomaly.counted import counted
from anomaly.data import (
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
from anomaly.inference import load_detector
from anomaly.pipeline.enough import NO_VERDICTS, no_verdicts
from anomaly.pipeline.new_parts import known_parts, one_of_each_new
from anomaly.pipeline.reading import ReadingWatch
from anomaly.pipeline.record import sizes_of

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
        UsageError: `groups` cannot be used; or the bundle is of an older schema, and a library that makes its graph is
            not installed.
    """
    detector = load_detector(model, device=device, engine=engine)
    bundle, contents = detector.bundle, _with_graph(detector.bundle)
    dataset = open_dataset(data, normal=normal, groups=groups)
    watch.on_data(describe(dataset, "calibrate"))
    samples = dataset.train_normals()
    watch.on_reading(len(samples))
    with tempfile.TemporaryDirectory() as folder:
        store = PixelStore.build(
            samples,
            detector.preprocess,
            Path(folder) / "pixels.u8",
            limits=Limits.for_pixels(max_pixels),
            on_image=watch.on_image,
        )
        keys = image_keys(store.pixels)
        is_new = ~contents.normals.knows(keys)
        distinct = distinct_rows(keys)
        new = distinct[is_new[distinct]]
        rows, parts = new, dataset.parts_of(store.paths)
        known = known_parts(dataset, [store], contents, groups, calibrates=True)
        if parts is not None:
            rows = one_of_each_new(new.tolist(), keys, parts, known.names)
        if not len(rows):
            whose = "normal images" if parts is None else "normal images, or others of their parts,"
            raise DataError(
                f"all {len(keys)} {whose} of {data} were used to make {bundle.name} version {bundle.version}; "
                "calibrate with normal images that it has not seen"
            )
        images = (take(store.pixels, rows[chunk]) for chunk in chunks(len(rows), detector.preprocess))
        scores = np.concatenate([detector.evidence(few).score for few in images])
        fingerprint = store.fingerprint()
    record = bundle.manifest.data.model_copy(
        update={
            "num_calibrate": len(rows),
            "calibration_fingerprint": fingerprint,
            "calibration_groups": to_text(groups),
            "calibration_sizes": sizes_of(store, rows.tolist(), detector.preprocess.resize),
            "num_unused": bundle.manifest.data.num_unused + len(new) - len(rows),
        }
    )
    calibration = Calibration.fit(scores)
    unlike = _unlike(bundle, calibration)
    manifest = bundle.manifest.model_copy(
        update={
            "data": record,
            "created": now(),
            "warnings": [
                *_still_true(bundle, calibration),
                *_left_out(len(store.errors)),
                *filter(None, (unlike, no_verdicts(calibration))),
            ],
            "detectability": None,  # which was measured at the old thresholds
        }
    )
    normals = contents.normals.with_calibration(keys[rows], unused=keys[new])
    if parts is not None:
        normals = normals.with_parts(keys, part_keys(parts, groups))
    renewed = replace(contents, manifest=manifest, calibration=calibration, normals=normals)
    num_new = int(is_new.sum())
    return CalibrationSummary(
        save(renewed, bundle.ref.path.resolve().parent, left_out=store.errors),
        bundle,
        len(keys) - num_new,
        num_new - len(new),
        len(store.errors),
        (*store.remarks, *known.remarks),
        len(new) - len(rows),
        unlike,
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
