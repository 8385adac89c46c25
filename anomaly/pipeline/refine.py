"""`anomaly refine`: an existing model learns from a few labelled defects as well, and becomes a new version."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import Bundle, Contents, Manifest, NormalSet, check_savable, load, save
from anomaly.calibration import check_alpha
from anomaly.config import PreprocessConfig
from anomaly.config.places import PACKAGE, PLACE
from anomaly.counted import counted, percent
from anomaly.data import (
    Limits,
    Mask,
    PixelStore,
    describe,
    distinct_rows,
    image_keys,
    open_dataset,
    preprocess,
)
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.data.decoding.ranges import FULL_RANGE
from anomaly.defaults import ALPHA
from anomaly.errors import ImageError, UsageError
from anomaly.extras import WITH_TORCH, require
from anomaly.files import to_text
from anomaly.inference.evidence_onnx import with_graph
from anomaly.inference.phi_features import phi_features
from anomaly.inference.torch_places import StoredPlaces, torch_place_engine
from anomaly.pipeline.detectability import with_detectability
from anomaly.pipeline.enough import NO_VERDICTS, no_verdicts
from anomaly.pipeline.kept_sets import kept_sets, known_as_normal, missing, too_few
from anomaly.pipeline.reading import ReadingWatch
from anomaly.pipeline.record import sizes_of
from anomaly.runtime import resolve_device
from anomaly.training.curves import OnProgress
from anomaly.training.refine import LabelledDefect, Refined, refine_places

_MAX_NAMED = 5


@dataclass(frozen=True)
class RefineWatch(ReadingWatch):
    """How a caller watches a refinement, which reads a data set first; `on_progress` as in `refine_places`."""

    on_progress: OnProgress = lambda stage, done, total: None
    on_warning: Callable[[str], None] = lambda warning: None


@dataclass(frozen=True)
class RefineSummary:
    """The new version, the `old` one that it is made from, and what labelled defects of DATA have taught it.

    `unseen` are the paths of labelled defects that taught nothing, because the model does not see them. `failures` are
    the path and the reason of each file that could not be read; `remarks` are sentences on how files were read.
    """

    bundle: Bundle
    old: Bundle
    refined: Refined
    num_with_mask: int
    unseen: Sequence[str] = ()
    failures: Sequence[tuple[str, str]] = ()
    remarks: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """What taught it, and how many of these the old version finds, and what the labels gain."""
        data, refined = self.bundle.manifest.data, self.refined
        said = [f"learnt from {data.labelled_text}, {self.num_with_mask:,} with a mask"]
        if refined.num_before is not None:
            found = counted(refined.num_before, "of these is found", "of these are found")
            said.append(f"without labels {found} at a false-alarm rate of {percent(refined.alpha)}")
        are_together = refined.num_parts < len(refined.taught)
        if refined.num_after is not None:
            others = "those of other parts" if are_together else "the others"
            said.append(
                f"with labels {refined.num_after:,}, where each is judged by what {others} have taught (in "
                f"{counted(refined.num_folds, 'round')})"
            )
        elif refined.num_before is not None and are_together:
            said.append(
                "how many of them are found with labels is not known: all show one part, so none of another part can "
                "teach what judges them. Label defects of several parts"
            )
        if self.unseen:
            num_unseen = len(self.unseen)
            more = f" and {num_unseen - _MAX_NAMED:,} more" if num_unseen > _MAX_NAMED else ""
            said.append(
                f"{counted(num_unseen, 'labelled defect')} taught nothing, because the model sees nothing of what is "
                f"marked: it lies outside of the region, or is cropped: {', '.join(self.unseen[:_MAX_NAMED])}{more}"
            )
        return said


def refine_bundle(
    model: str | Path,
    data: str,
    *,
    normal: Sequence[str] = (),
    defects: str | None = None,
    groups: str = "",
    alpha: float = ALPHA,
    device: str = "auto",
    max_pixels: int = DEFAULT_LIMITS.max_pixels,
    watch: RefineWatch = RefineWatch(),
) -> RefineSummary:
    """Write the new version beside the old ones.

    `data` has the normal images that the model was made from, which keep their sets, and labelled defects; `defects`
    may have more of these (see `open_dataset`). Of a test split nothing is used. Normal images that the model does not
    know are not used either. A version that was refined before is refined anew: it knows what is given now. `groups`
    says which part each image shows, as the column `group` of a manifest does without it: where it is told how many
    defects are found, none is judged by what another picture of its part has taught. `alpha` is for what is told.
    Larger images than `max_pixels` count as unreadable.

    Raises:
        UsageError: the model is not of a recipe that can be refined, or its folder is none for a model; `groups` cannot
            be used; or an extra is not installed.
        DeviceError: no such device.
        DataError: the data have no labelled defects, or too few of the normal images that made the model.
        BundleError: the bundle cannot be read.  StorageError: it, or the pixels, cannot be written.
    """
    alpha = check_alpha(alpha)
    require("refining a model", "torch", *WITH_TORCH)
    resolved = resolve_device(device)
    bundle = load(model)
    contents, recipe = bundle.contents, bundle.manifest.recipe
    if recipe.has_generator:
        raise UsageError(
            f"{bundle.name} version {bundle.version} compares images with what G draws, and labelled defects cannot be "
            "taught to it. Train a model on pretrained features, with --recipe parts or large-parts, and refine that"
        )
    require("refining a model", "pretrained", PACKAGE)
    check_savable(bundle.ref.name_directory)
    dataset = open_dataset(data, normal=normal, groups=groups, defects=defects)
    watch.on_data(describe(dataset, "refine"))
    limits = Limits.for_pixels(max_pixels)
    normals, anomalous = dataset.untested_normals(), dataset.labelled_defects()
    if not normals:
        raise too_few(0, NormalSet.TRAIN, bundle, data)
    watch.on_reading(len(normals) + len(anomalous))
    with tempfile.TemporaryDirectory() as folder:
        build = partial(PixelStore.build, config=recipe.preprocess, limits=limits, on_image=watch.on_image)
        # the few first: a mistake in them is told at once
        defective = build(anomalous, path=Path(folder) / "defects.u8", what="labelled defect")
        store = build(normals, path=Path(folder) / "normals.u8", what="normal image")
        keys = image_keys(defective.pixels)
        split = kept_sets(contents.normals, image_keys(store.pixels), keys, bundle, data)
        rows = _distinct(defective, keys)
        warnings = [*missing(split, bundle), *known_as_normal(contents.normals, keys[rows]), *_copies(keys, rows)]
        labelled = [_labelled(defective, row, recipe.preprocess, limits) for row in rows]
        warnings += [failure for _, failure in labelled if failure]
        for warning in warnings:
            watch.on_warning(warning)
        networks = StoredPlaces(contents, str(bundle.ref.path)).networks()
        phi_maps = networks.phi_maps
        refined = refine_places(
            store.pixels,
            split,
            contents,
            networks,
            [defect for defect, _ in labelled],
            bundle.manifest.data.model_copy(
                update={
                    "num_calibrate": len(split.calibrate),
                    "calibration_sizes": sizes_of(store, split.calibrate, recipe.preprocess.resize),
                }
            ),
            alpha=alpha,
            extract=phi_features(
                recipe.preprocess.channels,
                recipe.preprocess.side,
                with_points=phi_maps.with_points,
                with_half=phi_maps.with_half,
            ),
            observer=partial(torch_place_engine, has_region=recipe.preprocess.region is not None),
            device=resolved,
            on_progress=watch.on_progress,
        )
        taught = [int(rows[each]) for each in refined.taught]
        new = replace(
            refined.contents,
            manifest=_with_warnings(refined.contents),
            normals=contents.normals.with_labelled(keys[taught]),
        )
        new = with_detectability(
            with_graph(new),
            [store.samples[row] for row in split.report],
            bundle.ref.name_directory,
            device=device,
            limits=limits,
        )
        failures = [*store.errors, *defective.errors]
        return RefineSummary(
            bundle=save(new, bundle.ref.name_directory, left_out=failures),
            old=bundle,
            refined=refined,
            num_with_mask=sum(labelled[each][0].marked is not None for each in refined.taught),
            unseen=[defective.samples[row].path for row in rows if row not in taught],
            failures=failures,
            remarks=(*store.remarks, *defective.remarks),
        )


def _with_warnings(contents: Contents) -> Manifest:
    """The manifest; whether there are enough calibration images for verdicts is said anew."""
    few, manifest = no_verdicts(contents.calibration), contents.manifest
    kept = [warning for warning in manifest.warnings if not warning.startswith(NO_VERDICTS)]
    return manifest.model_copy(update={"warnings": [*kept, *([few] if few else [])]})


def _distinct(store: PixelStore, keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """One row of each labelled defect, ascending: of exact copies the first that has a mask, or else the first."""
    masks_first = np.argsort([not sample.masks for sample in store.samples], kind="stable")
    return np.sort(masks_first[distinct_rows(keys[masks_first])])


def _copies(keys: NDArray[np.uint64], rows: NDArray[np.intp]) -> list[str]:
    """A warning of labelled defects that are not among these rows."""
    num = len(keys) - len(rows)
    if not num:
        return []
    left_out = counted(
        num, "labelled defect is an exact copy of another", "labelled defects are exact copies of others"
    )
    return [f"{left_out}, and left out. Of copies the first one that has a mask teaches, or the first where none has"]


def _labelled(
    store: PixelStore, row: int, config: PreprocessConfig, limits: Limits
) -> tuple[LabelledDefect, str | None]:
    """One labelled defect, and why its mask is not used, if it cannot be."""
    sample, pixels = store.samples[row], np.asarray(store.pixels[row])
    kind = to_text(sample.kind)
    try:
        mask = sample.open_mask(limits=limits)
    except ImageError as error:
        return LabelledDefect(pixels, None, kind, sample.group), f"{error}; the picture teaches without its mask"
    marked = None if mask is None else marked_places(mask, config)
    return LabelledDefect(pixels, marked, kind, sample.group), None


def marked_places(mask: Mask, config: PreprocessConfig) -> NDArray[np.float32]:
    """The share of each place (h/8, w/8) of the preprocessed picture that a mask of the original (h, w) marks."""
    grey = config.model_copy(update={"channels": 1, "region": None, "range": FULL_RANGE})
    (marked,) = preprocess(mask.astype(np.uint8) * np.uint8(255), grey)
    height, width = marked.shape
    squares = marked.reshape(height // PLACE, PLACE, width // PLACE, PLACE)
    shares: NDArray[np.float32] = (squares.mean(axis=(1, 3)) / 255).astype(np.float32)
    return shares
