"""From the pixels of normal images to the contents of a bundle: train, settle, set the statistics, calibrate.

It knows nothing of files or of how the sets were drawn. What it is given as `observer` computes the evidence.
The normals are in disjoint sets (law 5): *train* moves the weights, *select* sets the statistics of the terms and the
scale of the heatmaps, *calibrate* gives the ranks of p-values and thresholds and does nothing else. Where there is a
*report* it is not looked at here.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.bundle import Contents, DataRecord, Golden, Manifest, NormalSet, now, record_of
from anomaly.calibration import Calibration
from anomaly.config import Recipe, default_feature_layer
from anomaly.data import NormalSplit, image_keys
from anomaly.networks import Networks
from anomaly.runtime import resolve_precision
from anomaly.scoring import MapScale, TermStatistics, combine
from anomaly.training.auxiliary import settle
from anomaly.training.curves import HistoryRow
from anomaly.training.diagnostics import Diagnostics
from anomaly.training.fit import Checkpoint, Trained, fit

NUM_GOLDEN = 4

Pixels = NDArray[np.uint8]


class Observes(Protocol):
    """What learning needs from the evidence graph of trained networks."""

    def observe(self, pixels: Pixels) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float32]]:
        """The terms of images (n, c, size, size) by name, and z_hat."""

    def explain(self, pixels: Pixels, z_hat: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """x_hat, and the maps (n, num_maps, size, size) of which a heatmap is made, of images with known latents."""


ObserverOf = Callable[[Networks, Recipe, torch.device], Observes]


@dataclass(frozen=True)
class LearnWatch:
    """What a caller may do during training.

    `should_stop(step, row)` is called every ten steps, with the means of the curves since the last call. `on_rows` gets
    every row of the curves once, `on_warning` each diagnosis once; `on_calibrating` is called when training is over.
    """

    should_stop: Callable[[int, HistoryRow], bool] = lambda step, row: False
    on_rows: Callable[[Sequence[HistoryRow]], object] = lambda rows: None
    on_warning: Callable[[str], object] = lambda warning: None
    on_calibrating: Callable[[], object] = lambda: None


def learn(
    pixels: Pixels,
    split: NormalSplit,
    recipe: Recipe,
    record: DataRecord,
    *,
    observer: ObserverOf,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    decoder: Mapping[str, Tensor] | None = None,
    watch: LearnWatch = LearnWatch(),
) -> Contents:
    """What a bundle holds, learnt from normal images (n, c, size, size), which may be memory-mapped.

    `record` says which data they are from; `decoder` are weights that G begins with.

    Raises:
        TrainingError: training diverged, or there is nothing to resume.
    """
    recipe = as_learnt(recipe, len(split.train), device)
    diagnostics = Diagnostics(recipe.training)

    def on_rows(rows: Sequence[HistoryRow]) -> None:
        watch.on_rows(rows)
        for finding in diagnostics.add(rows):
            watch.on_warning(str(finding))

    trained = fit(
        pixels,
        np.array(split.train),
        recipe.plan.model_copy(update={"memory_bank": 0}),  # which is filled after training
        recipe.training,
        device=device,
        checkpoint=checkpoint,
        decoder=decoder,
        select=np.array(split.select),
        should_stop=watch.should_stop,
        on_rows=on_rows,
    )
    watch.on_calibrating()
    settle(trained.networks, recipe.plan, pixels, np.array(split.train), np.array(split.select), device)
    contents = _contents(pixels, split, recipe, record, trained, observer(trained.networks, recipe, device))
    warnings = [str(finding) for finding in diagnostics.found]
    return replace(contents, manifest=contents.manifest.model_copy(update={"warnings": warnings}))


def as_learnt(recipe: Recipe, num_train: int, device: torch.device) -> Recipe:
    """With the choices that were left open: precision by the device, f's layer, the memory bank's size."""
    precision = resolve_precision(recipe.training.precision, device)
    layer = recipe.score.feature_layer or default_feature_layer(recipe.plan)
    num_remembered = min(recipe.auxiliary.memory_bank, num_train)
    return recipe.model_copy(
        update={
            "training": recipe.training.model_copy(update={"precision": precision}),
            "score": recipe.score.model_copy(update={"feature_layer": layer}),
            "auxiliary": recipe.auxiliary.model_copy(update={"memory_bank": num_remembered}),
        }
    )


def _contents(
    pixels: Pixels, split: NormalSplit, recipe: Recipe, record: DataRecord, trained: Trained, observer: Observes
) -> Contents:
    select = pixels[split.select]
    select_terms, z_hat = observer.observe(select)
    statistics = TermStatistics.fit(select_terms, recipe.score.precision)
    calibrate_terms, _ = observer.observe(pixels[split.calibrate])
    golden_pixels = select[:NUM_GOLDEN]
    golden_terms, golden_z_hat = observer.observe(golden_pixels)
    sets = [
        (NormalSet.TRAIN, split.train),
        (NormalSet.SELECT, split.select),
        (NormalSet.CALIBRATE, split.calibrate),
        (NormalSet.REPORT, split.report),
        (NormalSet.UNUSED, split.unused),
    ]
    return Contents(
        manifest=Manifest(
            recipe=recipe,
            terms=list(statistics.names),
            data=record,
            num_steps=trained.num_steps,
            kept_step=trained.kept_step,
            metrics=trained.last,
            libraries={"python": platform.python_version(), **{name: version(name) for name in ("torch", "numpy")}},
            created=now(),
        ),
        weights={name: t.cpu().contiguous().numpy() for name, t in trained.networks.state_dict().items()},
        calibration=Calibration.fit(combine(calibrate_terms, statistics, recipe)),
        statistics=statistics,
        map_scale=MapScale.fit(observer.explain(select, z_hat)[1]),
        golden=Golden(
            golden_pixels,
            golden_z_hat,
            np.stack([golden_terms[name] for name in statistics.names], axis=1),
            combine(golden_terms, statistics, recipe),
        ),
        normals=record_of(image_keys(pixels), sets),
        history=trained.history,
    )
