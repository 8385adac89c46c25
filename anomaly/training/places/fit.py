"""Learning from the maps of a pretrained network: main axes, a memory of normal places, and D_patch.

Where the recipe says "auto", the choice is made here, by normals of the *select* set and the same spoilt by kinds of
defects that taught nothing: what tells them apart best. The statistics of half of these normals are used to judge the
other half.
Shapes: pixels (c, h, w) uint8 each; φ's maps (num_features, h/8, w/8); places (n, num_features) or, as vectors, (n,
dimensions); where (n, 2), as shares of height and width; evidence (2, h/8, w/8).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from anomaly.config import FeaturesConfig, Place, TrainingConfig
from anomaly.config.places import PLACE
from anomaly.data import PixelsOfImages
from anomaly.networks.places import (
    DIMENSIONS,
    GRID,
    CellMemory,
    MainAxes,
    PlaceDiscriminator,
    PlaceMemory,
    PlaceNetworks,
    places_of,
)
from anomaly.networks.pretrained import WIDTHS
from anomaly.training.curves import HistoryRow, means
from anomaly.training.places.coreset import coreset
from anomaly.training.places.discriminator import REPORT_EVERY, teach
from anomaly.training.places.spoilt import CHOOSING, TEACHING, spoilt_images
from anomaly.training.places.statistics import WAYS, auroc_of, best_auroc, place_statistics

POOL = 40_000  # places of normal images that whitening, memory and D_patch learn from
CLOSENESS = {Place.ANYWHERE: 0.0, Place.NEAR: 8.0}
"""What a whole height or width of distance weighs, as a distance of vectors."""
SIGMAS = (0.5, 1.0, 2.0)
MAX_TAUGHT, MAX_CHOSEN_BY = 96, 40  # images that are spoilt
_SPOILT_PIXELS, _FEWEST = 40_000_000, 8  # of all of these images, and images
_SPOILT_SHARE = 0.25  # of a place's pixels

Pixels = NDArray[np.uint8]
Extract = Callable[[Pixels], NDArray[np.float32]]
"""φ's maps of one image."""
Turn = Callable[[Tensor], Tensor]
"""φ's maps (1, num_features, h, w) as vectors (1, dimensions, h, w)."""


@dataclass(frozen=True)
class PlacesTrained:
    """The networks in evaluation mode, the choices made, the curves and the steps done."""

    networks: PlaceNetworks
    config: FeaturesConfig
    history: list[HistoryRow]
    num_steps: int

    @property
    def last(self) -> HistoryRow:
        """The means of the curves over the last steps."""
        return means(self.history[-REPORT_EVERY:]) if self.history else {}

    @property
    def kept_step(self) -> int:
        """The last."""
        return self.num_steps


@dataclass(frozen=True)
class _Example:
    """One image: φ's maps (1, num_features, h, w), and where its places lie (h, w, 2)."""

    maps: Tensor
    where: Tensor


@dataclass(frozen=True)
class _ChosenBy:
    """Some *select* normals, and the same spoilt."""

    own: list[_Example]
    spoilt: list[_Example]

    @property
    def where(self) -> list[Tensor]:
        return [each.where for each in self.own]

    def auroc(self, evidence: Callable[[_Example], Tensor]) -> float:
        """Of one kind of evidence (h, w)."""
        own, spoilt = ([evidence(each)[None] for each in examples] for examples in (self.own, self.spoilt))
        return best_auroc(own, spoilt, self.where)


def fit_places(
    pixels: PixelsOfImages,
    train: Sequence[int],
    select: Sequence[int],
    networks: PlaceNetworks,
    config: FeaturesConfig,
    training: TrainingConfig,
    *,
    extract: Extract,
    should_stop: Callable[[int, HistoryRow], bool] = lambda step, row: False,
    on_rows: Callable[[Sequence[HistoryRow]], object] = lambda rows: None,
) -> PlacesTrained:
    """Fill `networks`, which have φ's weights, from images of any shapes.

    Raises:
        DivergedError: a loss is not finite any more.
    """
    seed = training.seed
    pool = _pool(pixels, train, config, extract, seed)
    networks.axes.fit(pool.places, whiten=True)
    networks.memory_axes.fit(pool.places[:, -WIDTHS[16] :], whiten=False)
    chosen_by = _chosen_by(pixels, select, extract, seed)
    history: list[HistoryRow] = []
    if config.memory:
        networks.memory, config = _remember(pool, networks, config, chosen_by)
    if networks.D is not None:
        wrong = _spoilt_places(pixels, train, networks, config, extract, seed)
        normal = _vectors(networks.axes, pool.places)
        aurocs = []
        for sigma in SIGMAS if config.sigma == "auto" else (config.sigma,):
            D, curves = teach(normal, wrong, sigma, config.spoilt, training, should_stop=should_stop)
            aurocs.append(chosen_by.auroc(partial(_doubt, D, networks.axes)))
            if aurocs[-1] == max(aurocs):
                networks.D, history, config = D, curves, config.model_copy(update={"sigma": sigma})
        on_rows(history)
    ways = WAYS if config.standardise == "auto" else (config.standardise,)
    own, spoilt = ([_evidence(networks, each) for each in examples] for examples in (chosen_by.own, chosen_by.spoilt))
    aurocs = [auroc_of(own, spoilt, chosen_by.where, way) for way in ways]
    way = ways[int(np.argmax(aurocs))]
    evidence = [_evidence(networks, _example(extract(pixels[row]))) for row in select]
    networks.statistics = place_statistics(evidence, way)
    return PlacesTrained(networks.eval(), config.model_copy(update={"standardise": way}), history, len(history))


@dataclass(frozen=True)
class _Pool:
    """Places of normal images: drawn at random (n, num_features), where they lay (n, 2); and of cells.

    `cells` (GRID · GRID, images, num_features) has a place of each cell of some images.
    """

    places: Tensor
    where: Tensor
    cells: Tensor


def _pool(pixels: PixelsOfImages, rows: Sequence[int], config: FeaturesConfig, extract: Extract, seed: int) -> _Pool:
    rng = np.random.default_rng(seed)
    each = max(-(-POOL // len(rows)), 4)
    of_cells = set(np.linspace(0, len(rows) - 1, min(config.memory_per_place, len(rows))).round().astype(int).tolist())
    places, where, cells = [], [], []
    for number, row in enumerate(rows):
        maps = extract(pixels[row])
        flat = maps.reshape(len(maps), -1)
        drawn = rng.choice(flat.shape[1], min(each, flat.shape[1]), replace=False)
        places.append(flat[:, drawn].T)
        where.append(_where(maps).reshape(-1, 2)[drawn])
        if number in of_cells:
            cells.append(_of_cells(maps, rng))
    return _Pool(torch.from_numpy(np.concatenate(places)), torch.cat(where), torch.from_numpy(np.stack(cells, axis=1)))


def _of_cells(maps: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """(GRID · GRID, num_features): a place of each cell, drawn at random."""
    rows, columns = (
        np.minimum(((np.arange(GRID)[:, None] + rng.random((GRID, GRID))) / GRID * side).astype(int), side - 1)
        for side in maps.shape[1:]
    )
    return maps[:, rows, columns.T].reshape(len(maps), -1).T


def _remember(
    pool: _Pool, networks: PlaceNetworks, config: FeaturesConfig, chosen_by: _ChosenBy
) -> tuple[PlaceMemory | CellMemory, FeaturesConfig]:
    """The memory; with "auto", of the way of comparing that tells spoilt normals best."""
    choices = list(Place) if config.places == "auto" else [config.places]
    memories = [_filled(pool, networks.recall, config.model_copy(update={"places": choice})) for choice in choices]
    aurocs = [chosen_by.auroc(partial(_novelty, memory, networks.recall)) for memory in memories]
    best = int(np.argmax(aurocs))
    memory = memories[best]
    size = "memory_per_place" if isinstance(memory, CellMemory) else "memory"
    return memory, config.model_copy(update={"places": choices[best], size: memory.places.shape[-2]})


def _filled(pool: _Pool, recall: Turn, config: FeaturesConfig) -> PlaceMemory | CellMemory:
    if config.places is Place.SAME:
        cells = CellMemory(pool.cells.shape[1])
        cells.places = torch.stack([_vectors(recall, each) for each in pool.cells.unbind(1)], dim=1).half()
        return cells
    assert config.places != "auto", "it is chosen"
    memory, closeness = PlaceMemory(config.memory), CLOSENESS[config.places]
    places = torch.cat([_vectors(recall, pool.places), closeness * pool.where], dim=1)
    memory.closeness = torch.tensor(closeness)
    memory.places = places[coreset(places, config.memory)].contiguous()
    return memory


def _vectors(turn: Turn, places: Tensor) -> Tensor:
    """Places (n, num_features) as vectors (n, dimensions)."""
    return turn(places.T[None, :, :, None])[0, :, :, 0].T.contiguous()


@torch.no_grad()
def _novelty(memory: PlaceMemory | CellMemory, recall: Turn, example: _Example) -> Tensor:
    novelty: Tensor = memory(recall(example.maps), example.where)[0]
    return novelty


def _chosen_by(pixels: PixelsOfImages, select: Sequence[int], extract: Extract, seed: int) -> _ChosenBy:
    rows = _as_many_as_fit(pixels, select, MAX_CHOSEN_BY)
    spoilt = (image for image, _ in spoilt_images(pixels, rows, CHOOSING, seed))
    return _ChosenBy(
        [_example(extract(pixels[row])) for row in rows],
        [_example(extract(image)) for image in spoilt],
    )


@torch.no_grad()
def _doubt(D: PlaceDiscriminator, axes: MainAxes, example: _Example) -> Tensor:
    doubt: Tensor = -D(axes(example.maps))[0]
    return doubt


def _spoilt_places(
    pixels: PixelsOfImages,
    train: Sequence[int],
    networks: PlaceNetworks,
    config: FeaturesConfig,
    extract: Extract,
    seed: int,
) -> Tensor:
    """(n, dimensions): places of spoilt *train* normals where they are spoilt."""
    found = [torch.zeros(0, DIMENSIONS)]
    rows = _as_many_as_fit(pixels, train, MAX_TAUGHT) if config.spoilt else []
    for image, mask in spoilt_images(pixels, rows, TEACHING, seed):
        q = networks.axes(_example(extract(image)).maps)[0]
        share = avg_pool2d(torch.from_numpy(mask).float()[None], PLACE)[0]
        found.append(q[:, share >= _SPOILT_SHARE].T)
    return torch.cat(found)


def _as_many_as_fit(pixels: PixelsOfImages, rows: Sequence[int], most: int) -> list[int]:
    """Evenly spaced among the rows: of large pictures fewer."""
    _, height, width = pixels[rows[0]].shape
    num = min(most, len(rows), max(_SPOILT_PIXELS // (height * width), _FEWEST))
    return [rows[place] for place in np.linspace(0, len(rows) - 1, num).round().astype(int)]


@torch.no_grad()
def _evidence(networks: PlaceNetworks, example: _Example) -> Tensor:
    return networks.evidence(example.maps, example.where)[0]


def _example(maps: NDArray[np.float32]) -> _Example:
    return _Example(torch.from_numpy(maps)[None], _where(maps))


def _where(maps: NDArray[np.float32] | Tensor) -> Tensor:
    *_, height, width = maps.shape
    return places_of(height, width, torch.tensor([0.0, float(PLACE * height)]))
