"""One pass over the normals that train: places drawn at random, of cells, and what aligned pictures show at each point.

Shapes: pixels (c, h, w) uint8; φ's maps (num_features, h/8, w/8), the points of each place behind; where (h/8, w/8, 2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.config import FeaturesConfig
from anomaly.config.places import PLACE
from anomaly.data import Pixels, PixelsOfImages
from anomaly.data.pose import pose_of
from anomaly.networks.aligned_memory import NUM_FINE, AlignedMemory
from anomaly.networks.places import NUM_FEATURES, CellMemory, places_of
from anomaly.networks.restorer import MapRestorer
from anomaly.training.places.aligned import PointSums
from anomaly.training.spacing import evenly_spaced

POOL = 40_000  # places of normal images that whitening, memory and D_patch learn from
MAX_COARSE = 2048  # images that restorers learn from: 160 MB of maps at 256 pixels a side, and 40 MB at half of it

Extract = Callable[[Pixels], NDArray[np.float32]]
"""φ's maps of one image."""


@dataclass(frozen=True)
class PlacePool:
    """Places of normal images: drawn at random (n, num_features), where they lay (n, 2); and of cells.

    `cells` (cells · cells, images, NUM_FEATURES) has a place of each cell of some images, `coarse` for each restorer
    the maps of whole images as it restores them. `aligned` is None where pictures do not lie alike.
    """

    places: Tensor
    where: Tensor
    cells: Tensor
    coarse: list[Tensor]
    aligned: AlignedMemory | None


def draw_pool(
    pixels: PixelsOfImages,
    rows: Sequence[int],
    config: FeaturesConfig,
    restorers: Sequence[MapRestorer],
    extract: Extract,
    reference: NDArray[np.float32] | None,
    seed: int,
) -> PlacePool:
    """From the images of these rows; with a `reference` they are aligned with it."""
    rng = np.random.default_rng(seed)
    each = max(-(-POOL // len(rows)), 4)
    of_cells = set(evenly_spaced(len(rows), config.memory_per_place).tolist())
    of_coarse = set(evenly_spaced(len(rows), MAX_COARSE).tolist())
    places, where, cells = [], [], []
    coarse: list[list[Tensor]] = [[] for _ in restorers]
    sums = None if reference is None else PointSums(reference, config.memory_grid)
    for number, row in enumerate(rows):
        maps = extract(pixels[row])
        if reference is not None and sums is not None:
            points = maps[NUM_FEATURES : NUM_FEATURES + NUM_FINE]
            sums.add(torch.from_numpy(points), pose_of(reference, pixels[row]).matrix)
        flat = maps.reshape(len(maps), -1)
        drawn = rng.choice(flat.shape[1], min(each, flat.shape[1]), replace=False)
        places.append(flat[:, drawn].T)
        where.append(where_of(maps).reshape(-1, 2)[drawn])
        if number in of_cells:
            cells.append(_of_cells(maps[:NUM_FEATURES], config.memory_cells, rng))
        if number in of_coarse:
            for kept, restorer in zip(coarse, restorers, strict=True):
                kept.append(restorer.coarse(torch.from_numpy(maps[None])).half())
    return PlacePool(
        torch.from_numpy(np.concatenate(places)),
        torch.cat(where),
        torch.from_numpy(np.stack(cells, axis=1)),
        [torch.cat(kept) for kept in coarse],
        None if sums is None else sums.memory(),
    )


def where_of(maps: NDArray[np.float32] | Tensor) -> Tensor:
    """Where the places of a whole picture lie (h/8, w/8, 2)."""
    *_, height, width = maps.shape
    return places_of(height, width, torch.tensor([0.0, float(PLACE * height)]))


def _of_cells(maps: NDArray[np.float32], cells: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(cells · cells, NUM_FEATURES): a place of each cell, drawn at random."""
    maps = CellMemory(cells, 0, 0).seen(torch.from_numpy(maps)[None])[0].numpy()
    rows, columns = (
        np.minimum(((np.arange(cells)[:, None] + rng.random((cells, cells))) / cells * side).astype(int), side - 1)
        for side in maps.shape[1:]
    )
    return maps[:, rows, columns.T].reshape(len(maps), -1).T
