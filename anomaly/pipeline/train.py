"""`anomaly train`: from normal images to a calibrated bundle."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anomaly.bundle import Bundle, check_name_directory, load, save
from anomaly.config import Method, Precision, Recipe, feature_names
from anomaly.config.places import PACKAGE
from anomaly.config.region import region_note
from anomaly.data import Dataset, Limits, PixelStore, describe, few_parts, image_keys, open_dataset, split_distinct
from anomaly.defaults import ALPHA
from anomaly.errors import UsageError
from anomaly.extras import WITH_TORCH, require
from anomaly.files import to_text
from anomaly.inference.evidence_onnx import with_graph
from anomaly.networks import Networks
from anomaly.pipeline.detectability import with_detectability
from anomaly.pipeline.launch import launch
from anomaly.pipeline.learning import learn_by
from anomaly.pipeline.ranked import check_nproc, check_recipe, device_of_rank, telling_failures
from anomaly.pipeline.record import data_record, identity, sets_sentences
from anomaly.pipeline.region import with_region
from anomaly.pipeline.train_options import TrainOptions, TrainWatch
from anomaly.recipes import Resolved, range_note, resolve, scale_note, sides, survey
from anomaly.runtime import is_fast_at_bf16, resolve_device
from anomaly.training import (
    ALONE,
    Checkpoint,
    HistoryRow,
    LearnWatch,
    Ranks,
    follow,
    is_ranked,
    joined,
    run_folder,
    tensorboard_files,
)

__all__ = ["TrainOptions", "TrainSummary", "TrainWatch", "train_bundle", "train_on"]


@dataclass(frozen=True)
class TrainSummary:
    """The new version."""

    bundle: Bundle

    @property
    def is_out_of_time(self) -> bool:
        """Whether a time limit, of this run or of one that it resumed, ended training before its steps were done."""
        return self.bundle.manifest.num_steps < self.bundle.manifest.recipe.training.steps

    def sentences(self) -> list[str]:
        """What was done: the side, the steps and why they ended, the sets, and how to go on."""
        manifest = self.bundle.manifest
        recipe = manifest.recipe
        done = f"trained {manifest.num_steps:,} of {recipe.training.steps:,} steps"
        why = "the time limit was reached" if self.is_out_of_time else "all steps were done"
        return [
            f"{done} at {sides(recipe.preprocess)}; it ended because {why}",
            *([note] if (note := region_note(recipe.preprocess.region)) else []),
            *([_how_to_go_on(recipe)] if self.is_out_of_time else []),
            *sets_sentences(manifest.data),
            *(manifest.detectability.sentences()[:1] if manifest.detectability else []),
        ]


def train_bundle(options: TrainOptions, watch: TrainWatch = TrainWatch()) -> TrainSummary:
    """Fit on normal images, calibrate on others of them, and write a new version under `options.out`.

    What is needed to resume is kept in `options.out/.training`, in a folder for each run.

    With `options.nproc` several processes train it (see `pipeline.launch`). Where torchrun started this process, it is
    one of them: all get the same summary, and rank 0 alone calls `watch`.

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
    if not is_ranked():
        resolve_device(options.device)
        return _train(options, watch)
    options = replace(options, device=device_of_rank(options.device))
    with joined(resolve_device(options.device)) as ranks:
        if not ranks.leads:
            return TrainSummary(load(Path(follow(ranks, resolve_device(options.device)))))
        with telling_failures(ranks):
            summary = _train(options, watch, ranks)
        ranks.tell({"done": str(summary.bundle.ref.path.resolve())})
        return summary


def _train(options: TrainOptions, watch: TrainWatch, ranks: Ranks = ALONE) -> TrainSummary:
    dataset = open_dataset(options.data, normal=options.normal, groups=options.groups)
    watch.on_data(describe(dataset))
    return train_on(dataset, options, watch, ranks)


def train_on(
    dataset: Dataset, options: TrainOptions, watch: TrainWatch = TrainWatch(), ranks: Ranks = ALONE
) -> TrainSummary:
    """The same on a data set that is open: `options.data` is its name; in this process, one of the `ranks`."""
    device = resolve_device(options.device)
    samples = dataset.train_normals()
    limits = Limits.for_pixels(options.max_pixels)
    found = survey(samples, limits=limits)
    overrides = with_region(options.overrides, options.region, samples, limits)
    resolved = resolve(options.recipe, overrides, found)
    recipe = resolved.recipe
    _check_feature_layer(resolved)
    check_recipe(recipe, ranks)
    decoder = _read_decoder(recipe, options.init_decoder)
    if recipe.has_pretrained:
        require("a recipe with pretrained features", "pretrained", PACKAGE)
    if options.resume and not recipe.has_generator:
        raise UsageError(f"{recipe.training.method} learns in minutes and keeps no state; leave --resume away")
    watch.on_recipe(resolved)
    notes = [
        scale_note(found, recipe.preprocess),
        range_note(found, recipe.preprocess),
        _precision_note(resolved, device),
    ]
    warnings = [note for note in notes if note is not None]
    for warning in warnings:
        watch.on_warning(warning)
    watch.on_reading(len(samples))
    with run_folder(options.out, resume=options.resume) as run:
        store = PixelStore.build(
            samples,
            recipe.preprocess,
            run.pixels,
            limits=limits,
            on_image=watch.on_image,
            instead="choose another --out",
        )
        for remark in store.remarks:
            warnings.append(remark)
            watch.on_warning(remark)
        parts = dataset.parts_of(store.paths)
        if parts and (few := few_parts(len(set(parts)))):
            warnings.append(few)
            watch.on_warning(few)
        split = split_distinct(
            image_keys(store.pixels), seed=recipe.training.seed, groups=parts, with_report=not recipe.has_generator
        )
        record = data_record(dataset, store, split, normal=options.normal, groups=options.groups)
        limit = _TimeLimit(options.max_minutes, recipe, time.monotonic() if recipe.has_generator else None)
        with _curves(options) as on_rows:
            contents = learn_by(
                recipe,
                store.pixels,
                split,
                record,
                device=device,
                checkpoint=Checkpoint(
                    run.checkpoint, identity(record, parts), resume=options.resume, take_over=run.take_over
                ),
                decoder=decoder,
                ranks=ranks,
                watch=LearnWatch(
                    should_stop=lambda step, row: _watched(watch, limit, step, row),
                    on_rows=on_rows,
                    on_warning=watch.on_warning,
                    on_calibrating=watch.on_calibrating,
                    on_progress=watch.on_progress,
                ),
            )
    manifest = contents.manifest
    if manifest.num_steps < recipe.training.steps:
        warnings.append(
            f"the time limit ended the training at step {manifest.num_steps:,} of {recipe.training.steps:,}, so it may "
            f"be worth much less than a whole one; {_how_to_go_on(recipe)}"
        )
    if shortage := contents.calibration.shortage(ALPHA):
        warnings.append(f"no image can be called anomalous at the default false-alarm rate: {shortage}")
        watch.on_warning(warnings[-1])
    said = {
        "recipe_name": to_text(resolved.name),
        "recipe_reason": resolved.reason,
        "warnings": warnings + manifest.warnings,
        "command": to_text(options.command),
    }
    contents = with_graph(replace(contents, manifest=manifest.model_copy(update=said)))
    if split.report and options.measures:
        watch.on_measuring()
        by_path = {sample.path: sample for sample in samples}
        report = [by_path[store.paths[row]] for row in split.report]
        contents = with_detectability(contents, report, options.out, device=options.device, limits=limits)
    return TrainSummary(save(contents, options.out, left_out=store.errors))


@dataclass
class _TimeLimit:
    """Ends a training when its minutes are over; a game that an encoder follows has two thirds of them.

    Without `started`, they begin with the first steps: where φ's maps are computed before, which may take minutes.
    """

    minutes: float | None
    recipe: Recipe
    started: float | None

    def is_over(self, row: HistoryRow) -> bool:
        if self.minutes is None:
            return False
        if self.started is None:
            self.started = time.monotonic()
        in_game = self.recipe.training.method is Method.F_ANOGAN and "loss_d" in row
        return time.monotonic() - self.started >= 60 * self.minutes * (2 / 3 if in_game else 1)


def _watched(watch: TrainWatch, limit: _TimeLimit, step: int, row: HistoryRow) -> bool:
    watch.on_step(step, row)
    return limit.is_over(row)


def _how_to_go_on(recipe: Recipe) -> str:
    if not recipe.has_generator:
        return "train again with more time: this method keeps no state to go on from"
    if recipe.training.method is Method.F_ANOGAN:
        return "train again with more time: a game that was cut short for its encoder cannot go on"
    return "to go on from there, give the same command with --resume and without --max-minutes, or with more"


def _precision_note(resolved: Resolved, device: torch.device) -> str | None:
    recipe = resolved.recipe
    is_asked = Precision.BF16 in (recipe.training.precision, recipe.score.precision)
    if not is_asked or is_fast_at_bf16(device):
        return None
    return (
        f"bf16 is slower than fp32 on this {device.type}, which has no instructions for it; leave training.precision "
        "and score.precision away, unless the bundle is for another machine"
    )


def _check_feature_layer(resolved: Resolved) -> None:
    recipe, layer = resolved.recipe, resolved.recipe.score.feature_layer
    names = feature_names(recipe.plan) if recipe.has_generator else []
    if layer is not None and layer not in names:
        there = f"there are {', '.join(names)}" if names else f"{resolved.recipe.training.method} has no discriminator"
        raise UsageError(f"score.feature_layer={layer}: there is no such layer to match features of; {there}")


def _read_decoder(recipe: Recipe, model: Path | None) -> dict[str, Tensor] | None:
    """G's weights of another bundle, to begin with."""
    if model is None:
        return None
    if not recipe.has_generator:
        raise UsageError(f"{recipe.training.method} has no G to begin with a decoder; leave --init-decoder away")
    weights = {
        name.removeprefix("G."): torch.from_numpy(np.array(array))
        for name, array in load(model).contents.weights.items()
        if name.startswith("G.")
    }
    wanted = {name: tensor.shape for name, tensor in Networks(recipe.plan).G.state_dict().items()}
    if wanted != {name: tensor.shape for name, tensor in weights.items()}:
        raise UsageError(
            f"--init-decoder {model}: its decoder has other layers than this G; train both with the same "
            "network.architecture, network.latent_dim, network.width and --size, and the same channels"
        )
    return weights


@contextmanager
def _curves(options: TrainOptions) -> Iterator[Callable[[Sequence[HistoryRow]], None]]:
    """Receives each row of the curves; writes TensorBoard's files if `options.tensorboard` is given."""
    with tensorboard_files(options.tensorboard) if options.tensorboard else nullcontext() as write:
        yield write or (lambda rows: None)
