"""From the pixels of normal images to the contents of a bundle: train, settle, set the statistics, calibrate.

It knows nothing of files or of how the sets were drawn. What it is given as `observer` computes the evidence.
The normals are in disjoint sets (law 5): *train* moves the weights, *select* sets the statistics of the terms and the
scale of the heatmaps, *calibrate* gives the ranks of p-values and thresholds and does nothing else. Where there is a
*report* it is not looked at here.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from types import MappingProxyType
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.bundle import Contents, DataRecord, Golden, Manifest, NormalSet, record_of
from anomaly.calibration import Calibration
from anomaly.config import Recipe, default_feature_layer
from anomaly.data import NormalSplit, Pixels, PixelsOfImages, chunks, image_keys, take
from anomaly.networks import Networks, PlaceNetworks, num_maps
from anomaly.networks.pretrained import PretrainedFeatures
from anomaly.process_state import owning_process_state
from anomaly.runtime import resolve_precision
from anomaly.scoring import MapScale, TermStatistics, combine
from anomaly.times import utc_now
from anomaly.torch_settings import own_draws, own_settings, threads
from anomaly.training.auxiliary import settle
from anomaly.training.curves import HistoryRow, OnProgress, OnRows, ShouldStop
from anomaly.training.diagnostics import Diagnostics
from anomaly.training.fit import Checkpoint, Trained, fit
from anomaly.training.places import Extract, PlacesTrained, find_reference, fit_places
from anomaly.training.ranks import ALONE, Ranks
from anomaly.training.spacing import evenly_spaced

NUM_GOLDEN = 4
GOLDEN_SIDE = 256  # pixels, of a crop at most
MOST_MAP_VALUES = 2**26  # a quarter of a GB

Maps = NDArray[np.float32] | Sequence[NDArray[np.float32]]


class Observes(Protocol):
    """What learning needs from the evidence graph of trained networks."""

    def observe(self, pixels: PixelsOfImages) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float32]]:
        """The terms of images by name, and z_hat."""

    def explain(self, pixels: PixelsOfImages, z_hat: NDArray[np.float32]) -> tuple[object, Maps]:
        """x_hat, and the maps (num_maps, h, w) of which a heatmap is made, of images with known latents."""


ObserverOf = Callable[[Networks, Recipe, torch.device], Observes]
PlaceObserverOf = Callable[[PlaceNetworks, torch.device, Extract], Observes]


class ExtractOf(Protocol):
    """Makes what computes the frozen φ's maps."""

    def __call__(self, *, with_points: bool) -> Extract:
        """`with_points`: the points of each place are among them."""


@dataclass(frozen=True)
class LearnWatch:
    """What a caller may do during training.

    `should_stop(step, row)` is called every ten steps, with the means of the curves since the last call. `on_rows` gets
    every row of the curves once, `on_warning` each diagnosis once; `on_calibrating` is called when training is over.
    `on_progress(stage, done, total)` is for a training in stages: see `fit_places`.
    """

    should_stop: ShouldStop = lambda step, row: False
    on_rows: OnRows = lambda rows: None
    on_warning: Callable[[str], object] = lambda warning: None
    on_calibrating: Callable[[], object] = lambda: None
    on_progress: OnProgress = lambda stage, done, total: None


@owning_process_state()
@own_settings()
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
    ranks: Ranks = ALONE,
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
        ranks=ranks,
        should_stop=watch.should_stop,
        on_rows=on_rows,
    )
    watch.on_calibrating()
    settle(trained.networks, recipe.plan, pixels, np.array(split.train), np.array(split.select), device)
    warnings = [str(finding) for finding in diagnostics.found]
    return contents_of(pixels, split, recipe, record, trained, observer(trained.networks, recipe, device), warnings)


@owning_process_state()
@own_settings()
def learn_places(
    pixels: PixelsOfImages,
    split: NormalSplit,
    recipe: Recipe,
    record: DataRecord,
    *,
    phi: PretrainedFeatures,
    extract_of: ExtractOf,
    observer: PlaceObserverOf,
    device: torch.device,
    ranks: Ranks = ALONE,
    watch: LearnWatch = LearnWatch(),
) -> Contents:
    """What `learn` gives, for `training.method="features"`: images of any shapes.

    Raises:
        TrainingError: training diverged.
    """
    with own_draws(device):
        networks = PlaceNetworks(recipe.features)
    networks.phi = phi
    reference = find_reference(pixels, split, recipe.features)
    extract = extract_of(with_points=recipe.features.points or reference is not None)
    with threads(1):
        trained = fit_places(
            pixels,
            split,
            networks,
            recipe.features,
            recipe.training,
            extract=extract,
            reference=reference,
            should_stop=watch.should_stop,
            on_rows=watch.on_rows,
            on_progress=watch.on_progress,
            ranks=ranks,
            has_region=recipe.preprocess.region is not None,
        )
    watch.on_calibrating()
    recipe = recipe.model_copy(update={"features": trained.config})
    return contents_of(pixels, split, recipe, record, trained, observer(trained.networks, device, extract))


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


def contents_of(
    pixels: PixelsOfImages,
    split: NormalSplit,
    recipe: Recipe,
    record: DataRecord,
    trained: Trained | PlacesTrained,
    observer: Observes,
    warnings: Sequence[str] = (),
    least_std: Mapping[str, float] = MappingProxyType({}),
) -> Contents:
    """What a bundle holds, by trained networks and the evidence graph made of them.

    `least_std` is that of `TermStatistics.fit`.
    """
    select_terms, z_hat = _observed(observer, pixels, split.select, recipe)
    statistics = TermStatistics.fit(select_terms, recipe.score.precision, least_std)
    calibrate_terms, _ = _observed(observer, pixels, split.calibrate, recipe)
    golden_pixels = _goldens(take(pixels, split.select[:NUM_GOLDEN]))
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
            created=utc_now("seconds"),
            warnings=list(warnings),
        ),
        weights={name: t.cpu().contiguous().numpy() for name, t in trained.networks.state_dict().items()},
        calibration=Calibration.fit(combine(calibrate_terms, statistics, recipe)),
        statistics=statistics,
        map_scale=_map_scale(recipe, observer, pixels, split.select, select_terms, z_hat),
        golden=Golden(
            golden_pixels,
            golden_z_hat,
            np.stack([golden_terms[name] for name in statistics.names], axis=1),
            combine(golden_terms, statistics, recipe),
        ),
        normals=record_of(image_keys(pixels), sets),
        history=trained.history,
    )


def _goldens(images: PixelsOfImages) -> Pixels:
    """The images themselves; of whole pictures the upper left corners, which all of them have."""
    if isinstance(images, np.ndarray):
        return images
    height, width = (min(*(image.shape[axis] for image in images), GOLDEN_SIDE) for axis in (1, 2))
    return np.stack([image[:, :height, :width] for image in images])


def _observed(
    observer: Observes, pixels: PixelsOfImages, rows: Sequence[int], recipe: Recipe
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float32]]:
    """The terms and z_hat of the images of these rows, a few at a time: they may be more than memory holds."""
    few = (take(pixels, rows[chunk]) for chunk in chunks(len(rows), recipe.preprocess))
    parts = [observer.observe(images) for images in few]
    terms = {name: np.concatenate([found[name] for found, _ in parts]) for name in parts[0][0]}
    return terms, np.concatenate([z_hat for _, z_hat in parts])


def _map_scale(
    recipe: Recipe,
    observer: Observes,
    pixels: PixelsOfImages,
    select: Sequence[int],
    terms: Mapping[str, NDArray[np.float64]],
    z_hat: NDArray[np.float32],
) -> MapScale:
    """The map of places is what the score is the strongest place of; other maps are computed for it.

    Of so many images that their maps have more than MOST_MAP_VALUES, some tell the scale, evenly spaced.
    """
    if not recipe.has_generator:
        return MapScale.of_peaks(terms["strongest_place"])
    most = max(MOST_MAP_VALUES // (num_maps(recipe.plan) * recipe.preprocess.size**2), 1)
    chosen = evenly_spaced(len(select), most)
    maps = [
        observer.explain(take(pixels, np.array(select)[chosen[chunk]]), z_hat[chosen[chunk]])[1]
        for chunk in chunks(len(chosen), recipe.preprocess)
    ]
    return MapScale.fit(np.concatenate([np.asarray(each) for each in maps]))
