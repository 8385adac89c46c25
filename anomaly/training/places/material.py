"""What networks of places learn from, and what choices are made by, as φ sees it: one pass over each picture.

Shapes: pixels (c, h, w) uint8 each; φ's maps (num_features, h/8, w/8); places as vectors (n, dimensions).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from anomaly.config import FeaturesConfig
from anomaly.config.places import PLACE
from anomaly.data import NormalSplit, Pixels, PixelsOfImages
from anomaly.networks.places import NUM_FEATURES, MainAxes, PlaceNetworks
from anomaly.networks.restorer import MapRestorer
from anomaly.training.curves import OnProgress
from anomaly.training.places.examples import ChosenBy, Look
from anomaly.training.places.pool import Extract, PlacePool, draw_pool
from anomaly.training.places.spoilt import (
    CHOOSING_KINDS,
    SIDES,
    SMALL_SIDES,
    TRAINING_KINDS,
    spoilt_all_over,
    spoilt_images,
)
from anomaly.training.places.statistics import halves_of
from anomaly.training.spacing import evenly_spaced

MAX_NEGATIVES, MAX_RESTORED, MAX_CHOSEN_BY = 96, 384, 40  # images that are spoilt
_SPOILT_PIXELS, _FEWEST = 40_000_000, 8  # of all of these images, and images
_SPOILT_SHARE = 0.25  # of a place's pixels


@dataclass(frozen=True)
class Material:
    """Normal places, spoilt ones (n, dimensions), and for each restorer pairs of coarse maps (n, 2, num_features, …).

    A pair is of a normal, and of the same spoilt. `reference` is the picture that others are aligned with; None where
    they do not lie alike.
    """

    pool: PlacePool
    spoilt_places: Tensor
    pairs: list[Tensor]
    chosen_by: ChosenBy
    reference: NDArray[np.float32] | None


def see(
    pixels: PixelsOfImages,
    split: NormalSplit,
    networks: PlaceNetworks,
    restorers: Sequence[MapRestorer],
    config: FeaturesConfig,
    seed: int,
    *,
    extract: Extract,
    reference: NDArray[np.float32] | None,
    on_progress: OnProgress,
    has_region: bool,
) -> Material:
    """Look at the normals that train and select, and at some of them spoilt; sets the main axes of `networks`."""
    train, select = split.train, split.select
    chosen_by_rows = _as_many_as_fit(pixels, select, MAX_CHOSEN_BY)
    part_of = dict(zip(select, split.select_parts or select, strict=True))
    negative_rows = _as_many_as_fit(pixels, train, MAX_NEGATIVES) if config.spoilt else []
    restored_rows = _as_many_as_fit(pixels, train, MAX_RESTORED) if restorers else []
    num_pictures = len(train) + 2 * len(chosen_by_rows) + len(negative_rows) + 2 * len(restored_rows)
    extract = telling(extract, "Computing maps", num_pictures, on_progress)
    pool = draw_pool(pixels, train, config, restorers, extract, reference, seed)
    networks.axes.fit(pool.places[:, : len(networks.axes.centre)], whiten=True)
    remembered = pool.places[:, NUM_FEATURES - len(networks.memory_axes.centre) : NUM_FEATURES]
    networks.memory_axes.fit(remembered, whiten=False, by_channel=config.memory_maps == "coarse")
    sides, spoil = (SMALL_SIDES, spoilt_all_over) if config.points else (SIDES, spoilt_images)
    to_choose = spoilt_images(pixels, chosen_by_rows, CHOOSING_KINDS, seed, sides, has_region=has_region)
    negatives = spoil(pixels, negative_rows, TRAINING_KINDS, seed, has_region=has_region)
    to_restore = spoilt_images(pixels, restored_rows, TRAINING_KINDS, seed, has_region=has_region)
    look = Look(extract, reference)
    chosen_by = ChosenBy(
        [look(pixels[row]) for row in chosen_by_rows],
        [look(image) for image, _ in to_choose],
        halves_of([part_of[row] for row in chosen_by_rows]),
    )
    spoilt_places = _places_of(negatives, networks.axes, extract)
    pairs = _pairs_of((pixels[row] for row in restored_rows), to_restore, restorers, extract)
    return Material(pool, spoilt_places, pairs, chosen_by, reference)


def telling(extract: Extract, stage: str, total: int, on_progress: OnProgress) -> Extract:
    """Wrap `extract`, so that `on_progress` is told how many of the `total` pictures of a stage it has seen."""
    on_progress(stage, 0, total)
    done = count(1)

    def told(picture: Pixels) -> NDArray[np.float32]:
        maps = extract(picture)
        on_progress(stage, next(done), total)
        return maps

    return told


def _places_of(spoilt: Iterable[tuple[Pixels, NDArray[np.bool_]]], axes: MainAxes, extract: Extract) -> Tensor:
    """(n, dimensions): places of images where these are spoilt."""
    found = [torch.zeros(0, len(axes.axes))]
    for image, mask in spoilt:
        q = axes(torch.from_numpy(extract(image)[None]))[0]
        share = avg_pool2d(torch.from_numpy(mask).float()[None], PLACE)[0]
        found.append(q[:, share >= _SPOILT_SHARE].T)
    return torch.cat(found)


def _pairs_of(
    normals: Iterable[Pixels],
    spoilt: Iterable[tuple[Pixels, NDArray[np.bool_]]],
    restorers: Sequence[MapRestorer],
    extract: Extract,
) -> list[Tensor]:
    """For each restorer (n, 2, num_features, …): coarse maps of normals, and of the same spoilt."""
    pairs: list[list[Tensor]] = [[] for _ in restorers]
    for normal, (image, _) in zip(normals, spoilt, strict=True):
        both = torch.from_numpy(np.stack([extract(np.asarray(normal)), extract(image)]))
        for kept, restorer in zip(pairs, restorers, strict=True):
            kept.append(restorer.coarse(both).half())
    return [torch.stack(kept) for kept in pairs]


def _as_many_as_fit(pixels: PixelsOfImages, rows: Sequence[int], most: int) -> list[int]:
    """Evenly spaced among the rows: of large pictures fewer."""
    _, height, width = pixels[rows[0]].shape
    num = min(most, max(_SPOILT_PIXELS // (height * width), _FEWEST))
    return [rows[place] for place in evenly_spaced(len(rows), num)]
