"""`anomaly train`: from normal images to a calibrated bundle."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anomaly.bundle import Bundle, Contents, check_name_directory, load, save
from anomaly.config import Recipe
from anomaly.config.region import region_note
from anomaly.data import Dataset, Limits, describe, open_dataset
from anomaly.extras import WITH_TORCH, require
from anomaly.files import to_text
from anomaly.inference.evidence_onnx import with_graph
from anomaly.inference.phi_features import phi_features
from anomaly.inference.torch_engine import TorchEngine
from anomaly.inference.torch_places import torch_place_engine
from anomaly.networks.pretrained import load_pretrained
from anomaly.pipeline.detectability import with_detectability
from anomaly.pipeline.enough import check_enough, no_verdicts
from anomaly.pipeline.launch import launch
from anomaly.pipeline.learnable import check_learnable, decoder_of, precision_note
from anomaly.pipeline.normals import Normals, read_normals
from anomaly.pipeline.ranked import check_nproc, device_of_rank, telling_failures
from anomaly.pipeline.record import sets_sentences
from anomaly.pipeline.region import with_region
from anomaly.pipeline.time_limit import TimeLimit, cut_short, how_to_go_on
from anomaly.pipeline.train_options import TrainOptions, TrainWatch
from anomaly.process_state import owning_process_state
from anomaly.recipes import Resolved, beyond_note, range_note, resolve, scale_note, sides, stretched_region_note, survey
from anomaly.runtime import resolve_device
from anomaly.torch_settings import own_settings
from anomaly.training import (
    ALONE,
    Checkpoint,
    HistoryRow,
    LearnWatch,
    Ranks,
    follow,
    is_ranked,
    joined,
    learn,
    learn_places,
    run_folder,
    tensorboard_files,
)

__all__ = ["TrainOptions", "TrainSummary", "TrainWatch", "train_bundle", "train_on"]


@dataclass(frozen=True)
class TrainSummary:
    """The new version; and of each image that this process could not read, the path and the reason."""

    bundle: Bundle
    left_out: Sequence[tuple[str, str]] = ()

    def sentences(self) -> list[str]:
        """What was done: the side, the steps and why they ended, the sets, and how to go on."""
        manifest = self.bundle.manifest
        recipe = manifest.recipe
        why = "the time limit was reached" if manifest.is_cut_short else "all steps were done"
        return [
            f"trained {manifest.steps_done} at {sides(recipe.preprocess)}; it ended because {why}",
            *([note] if (note := region_note(recipe.preprocess.region)) else []),
            *([how_to_go_on(recipe)] if manifest.is_cut_short else []),
            *sets_sentences(manifest.data),
            *(manifest.detectability.sentences()[:1] if manifest.detectability else []),
        ]


@own_settings()
def train_bundle(options: TrainOptions, watch: TrainWatch = TrainWatch()) -> TrainSummary:
    """Fit on normal images, calibrate on others of them, and write a new version under `options.out`.

    What is needed to resume is kept in `options.out/.training`, in a folder for each run.

    With `options.nproc` several processes train it (see `pipeline.launch`). Where torchrun started this process, it is
    one of them: all get the same summary, and rank 0 alone calls `watch`.

    In threads of one process trainings run one after the other (see `process_state`); processes run at once.

    Raises:
        DataError: the data cannot be used.
        TrainingError: training diverged, there is nothing to resume, or one of several processes has ended.
        UsageError: the options do not fit together.
        StorageError: `options.out` cannot be written.
        InUseError: the run to resume is being trained.
        DeviceError: no such device.
    """
    require("training", "torch", *WITH_TORCH)  # before hours of work, at whose end the graph is made
    check_name_directory(options.out)
    if options.nproc != 1:
        check_nproc(options)
        return TrainSummary(load(launch(train_bundle, options, watch)))
    if is_ranked():
        options = replace(options, device=device_of_rank(options.device))
    device = resolve_device(options.device)
    with owning_process_state(), joined(device) if is_ranked() else nullcontext(ALONE) as ranks:
        if not ranks.leads:
            return TrainSummary(load(Path(follow(ranks, device))))
        with telling_failures(ranks):
            dataset = open_dataset(options.data, normal=options.normal, groups=options.groups)
            watch.on_data(describe(dataset))
            summary = train_on(dataset, options, watch, ranks)
        ranks.tell({"done": str(summary.bundle.ref.path.resolve())})
        return summary


@owning_process_state()
@own_settings()
def train_on(
    dataset: Dataset, options: TrainOptions, watch: TrainWatch = TrainWatch(), ranks: Ranks = ALONE
) -> TrainSummary:
    """Train as `train_bundle` does, on a data set that is open, in this process, which is one of the `ranks`.

    `options.data` is the data set's name.
    """
    device, limits = resolve_device(options.device), Limits.for_pixels(options.max_pixels)
    samples = dataset.train_normals()
    if shortage := check_enough(dataset):
        watch.on_warning(shortage)  # the card has what became of it
    found = survey(samples, limits=limits)
    resolved = resolve(options.recipe, with_region(options.overrides, options.region, samples, limits), found)
    recipe = resolved.recipe
    check_learnable(recipe, options, ranks)
    decoder = decoder_of(recipe, options.init_decoder)
    watch.on_recipe(resolved)
    warnings: list[str] = []

    def warn(*notes: str | None) -> None:
        for note in filter(None, notes):
            warnings.append(note)
            watch.on_warning(note)

    warn(*(note(found, recipe.preprocess) for note in (scale_note, range_note, beyond_note, stretched_region_note)))
    warn(precision_note(recipe, device))
    watch.on_reading(len(samples))
    with run_folder(options.out, resume=options.resume) as run:
        normals = read_normals(dataset, samples, recipe, options, run.pixels, on_image=watch.on_image)
        warn(*normals.notes)
        with tensorboard_files(options.tensorboard) as on_rows:
            contents = learn_by(
                recipe,
                normals,
                device=device,
                checkpoint=Checkpoint(run.checkpoint, normals.identity, resume=options.resume, take_over=run.take_over),
                decoder=decoder,
                ranks=ranks,
                watch=_watch_of(watch, TimeLimit.of(recipe, options.max_minutes), on_rows),
            )
        if contents.manifest.is_cut_short:
            warnings.append(cut_short(contents.manifest))
        if few := no_verdicts(contents.calibration):
            warnings.append(few) if shortage else warn(few)
        contents = with_graph(_recorded(contents, normals, resolved, options, warnings))
        if normals.split.report and options.measures:
            watch.on_measuring()
            contents = with_detectability(
                contents,
                normals.report,
                options.out,
                device=options.device,
                limits=limits,
                max_minutes=options.max_minutes,
            )
        left_out = normals.store.errors
        return TrainSummary(save(contents, options.out, left_out=left_out), left_out)


def learn_by(
    recipe: Recipe,
    normals: Normals,
    *,
    device: torch.device,
    checkpoint: Checkpoint,
    decoder: Mapping[str, Tensor] | None,
    ranks: Ranks,
    watch: LearnWatch,
) -> Contents:
    """See `learn` and `learn_places`, which has no checkpoint: it takes minutes."""
    pixels, split, record = normals.store.pixels, normals.split, normals.record
    if recipe.has_generator:
        return learn(
            np.asarray(pixels),
            split,
            recipe,
            record,
            observer=TorchEngine,
            device=device,
            checkpoint=checkpoint,
            decoder=decoder,
            ranks=ranks,
            watch=watch,
        )
    watch.on_progress("Preparing the pretrained network", 0, None)
    channels, side = recipe.preprocess.channels, recipe.preprocess.side
    return learn_places(
        pixels,
        split,
        recipe,
        record,
        phi=load_pretrained(),
        extract_of=partial(phi_features, channels, side, with_half=recipe.features.half_restorer),
        observer=partial(torch_place_engine, has_region=recipe.preprocess.region is not None),
        device=device,
        ranks=ranks,
        watch=watch,
    )


def _watch_of(watch: TrainWatch, limit: TimeLimit, on_rows: Callable[[Sequence[HistoryRow]], None]) -> LearnWatch:
    def should_stop(step: int, row: HistoryRow) -> bool:
        watch.on_step(step, row)
        return limit.is_over(row)

    return LearnWatch(
        should_stop=should_stop,
        on_rows=on_rows,
        on_warning=watch.on_warning,
        on_calibrating=watch.on_calibrating,
        on_progress=watch.on_progress,
    )


def _recorded(
    contents: Contents, normals: Normals, resolved: Resolved, options: TrainOptions, warnings: list[str]
) -> Contents:
    """With the parts of the normals, the recipe's name and the reason for it, the command, and what was warned of."""
    said = {
        "recipe_name": to_text(resolved.name),
        "recipe_reason": resolved.reason,
        "warnings": warnings + contents.manifest.warnings,
        "command": to_text(options.command),
    }
    return replace(
        contents,
        manifest=contents.manifest.model_copy(update=said),
        normals=normals.with_parts(contents.normals, options.groups),
    )
