"""Which normal places are remembered, and the way of comparing with them that tells spoilt normals best.

Shapes: places (n, num_features) or, as vectors, (n, dimensions).
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from anomaly.config import FeaturesConfig, Place
from anomaly.networks.places import CellMemory, Memory, PlaceMemory, PlaceNetworks, memory_of
from anomaly.training.places.coreset import coreset
from anomaly.training.places.examples import ChosenBy, evidence_of
from anomaly.training.places.pool import PlacePool
from anomaly.training.places.statistics import preferred

CLOSENESS = {Place.ANYWHERE: 0.0, Place.NEAR: 8.0}
"""What a whole height or width of distance weighs, as a distance of vectors."""

Turn = Callable[[Tensor], Tensor]
"""φ's maps (1, num_features, h, w) as vectors (1, dimensions, h, w)."""


def remember(
    pool: PlacePool,
    networks: PlaceNetworks,
    config: FeaturesConfig,
    chosen_by: ChosenBy,
    on_progress: Callable[[int, int], object],
) -> tuple[Memory, FeaturesConfig]:
    """The memory; with "auto", of the way of comparing that tells spoilt normals best, beside the rest.

    `on_progress(done, total)` is told how many ways were tried.
    """
    if config.places == "auto":  # where spoilt normals tell no clear difference, the most exact that there is
        choices = [*([Place.ALIGNED] if pool.aligned else []), Place.SAME, Place.NEAR, Place.ANYWHERE]
    else:
        choices = [config.places]
    memories: list[Memory] = []
    aurocs: list[float] = []
    on_progress(0, len(choices))
    for choice in choices:
        networks.memory = _filled(pool, networks, config, choice)
        memories.append(networks.memory)
        seen, by_half = chosen_by.seen_by(networks.memory), networks.half_restorer is not None
        aurocs.append(seen.auroc(partial(evidence_of, networks), by_half=by_half))
        on_progress(len(memories), len(choices))
    best = preferred(aurocs, len(chosen_by.own))
    memory, sizes = memories[best], {}
    if isinstance(memory, PlaceMemory):
        sizes = {"memory": memory.places.shape[0]}
    elif isinstance(memory, CellMemory):
        sizes = {"memory_per_place": memory.places.shape[1]}
    return memory, config.model_copy(update={"places": choices[best], **sizes})


def _filled(pool: PlacePool, networks: PlaceNetworks, config: FeaturesConfig, place: Place) -> Memory:
    match place:
        case Place.ALIGNED:
            assert pool.aligned is not None, "there is a reference"
            return pool.aligned
        case Place.SAME:
            drawn = config.model_copy(update={"places": place, "memory_per_place": pool.cells.shape[1]})
            cells = memory_of(drawn, len(networks.memory_axes.axes))
            assert isinstance(cells, CellMemory), "of that kind"
            of_images = [vectors_of(networks.recall, each) for each in pool.cells.unbind(1)]
            cells.places = torch.stack(of_images, dim=1)[:, :, : cells.places.shape[2]].half()
            return cells
        case _:
            memory = PlaceMemory(config.memory, len(networks.memory_axes.axes))
            closeness = CLOSENESS[place]
            places = torch.cat([vectors_of(networks.recall, pool.places), closeness * pool.where], dim=1)
            memory.closeness = torch.tensor(closeness)
            memory.places = places[coreset(places, config.memory)].contiguous()
            return memory


def vectors_of(turn: Turn, places: Tensor) -> Tensor:
    """Places (n, num_features) as vectors (n, dimensions)."""
    return turn(places.T[None, :, :, None])[0, :, :, 0].T.contiguous()
