"""Networks that judge each place of an image by what a pretrained network φ sees there; no G of images.

A place is a square of 8 pixels. φ's maps at 1/8 and 1/16, averaged over 3 × 3 neighbours, are laid over each other at
1/8 and turned onto the main axes of normal places. Kinds of evidence:

- *novelty*: the distance of a place's m, which is of the map at 1/16 or of both, from the nearest that a memory of
  normals keeps;
- *doubt*: −logit of a discriminator D_patch of q, which is of both maps and whitened. It learnt from negatives. It can
  see the points of a place in the map at 1/4 too;
- *residual*: how far the maps are from those that a restorer of normal maps makes of them (see `restorer`);
- *residual_half*: the same of the picture at half its size.

Each is measured in standard deviations from what other normal images show at that place, and all are added (see
`place_statistics`).
Where a place lies is known by its share of the picture's height and width, so a picture may be computed in strips. In
pictures that are aligned it is the share of the reference's height and width instead (see `data.pose`).
Shapes: x (b, c, h, w), h and w multiples of 16; m (b, k, h/8, w/8); q (b, dimensions, h/8, w/8); maps
(b, 1 + k, h/8, w/8): the sum and k kinds of evidence, named by `evidence_names`.
Source: Roth 2022 (PatchCore), §3.1 (neighbours' means, a memory) and §3.3 (the nearest); Defard 2021 (PaDiM), §3 (of a
place); Liu 2023 (SimpleNet), §3.4 (a discriminator of features).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pixel_unshuffle

from anomaly.config import FeaturesConfig, Place
from anomaly.config.places import PLACE, evidence_names
from anomaly.networks.aligned_memory import FINE, NUM_FINE, AlignedMemory
from anomaly.networks.frozen import Frozen
from anomaly.networks.labelled_defects import LabelledDefects
from anomaly.networks.place_discriminator import PlaceDiscriminator
from anomaly.networks.place_statistics import GRID, PlaceStatistics, strength
from anomaly.networks.pretrained import WIDTHS, PretrainedFeatures
from anomaly.networks.restorer import HalfMapRestorer, MapRestorer

NUM_FEATURES = WIDTHS[8] + WIDTHS[16]
DIMENSIONS, COARSE_DIMENSIONS, CELL_DIMENSIONS = 128, 64, 128
_LEAST_SPREAD = 1e-3
_LEAST_VARIANCE = 0.01  # beside that of an axis: a direction in which normals agree is not magnified without end
_CHUNK = 1024  # remembered places compared with at once
_CELL_CHUNK = 64  # of those of each place, where these are compared with


class PhiMaps(nn.Module):
    """x → φ's maps at 1/8, (b, num_features, h/8, w/8): first NUM_FEATURES, of the finer map, then of the coarser one.

    With `with_points` the points of each place in the map at 1/4 follow, NUM_FINE more. With `with_half` the maps of
    the picture at half its size are the last, NUM_FEATURES more: each of its places stands four times. h and w are then
    multiples of 32.
    """

    def __init__(self, phi: PretrainedFeatures, *, with_points: bool, with_half: bool) -> None:
        super().__init__()
        self.phi = phi
        self.with_points, self.with_half = with_points, with_half
        self.num_features = NUM_FEATURES * (1 + with_half) + NUM_FINE * with_points

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        maps = self.phi(x)
        seen = [_features(maps)]
        if self.with_points:
            seen.append(pixel_unshuffle(_neighbours(maps[4]), FINE))
        if self.with_half:
            seen.append(interpolate(_features(self.phi(avg_pool2d(x, 2))), scale_factor=2, mode="nearest"))
        return torch.cat(seen, dim=1)


class MainAxes(Frozen):
    """(b, num_features, h, w) → (b, dimensions, h, w): turned onto the main axes of normal places."""

    centre: Tensor
    axes: Tensor

    def __init__(self, num_features: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(num_features))
        self.register_buffer("axes", torch.zeros(dimensions, num_features))

    def fit(self, places: Tensor, *, whiten: bool, by_channel: bool = True) -> None:
        """By normal places (n, num_features).

        `by_channel`: the axes are those of the correlations, so that each channel counts alike; else those of the
        covariances, in units of the root mean square of the channels' deviations.
        """
        spread = places.std(dim=0).clamp_min(_LEAST_SPREAD)
        if not by_channel:
            spread = spread.square().mean().sqrt().expand_as(spread)
        self.centre = places.mean(dim=0)
        values, vectors = torch.linalg.eigh(torch.cov(((places - self.centre) / spread).double().T))
        chosen = values.argsort(descending=True)[: len(self.axes)]
        axes = vectors[:, chosen].T / spread
        if whiten:
            axes /= (values[chosen].clamp_min(0) + _LEAST_VARIANCE).sqrt()[:, None]
        self.axes = axes.float().contiguous()

    def forward(self, maps: Tensor) -> Tensor:
        """The vectors; of maps that have further features behind, these are left."""
        return conv2d(maps[:, : len(self.centre)], self.axes[:, :, None, None], -self.axes @ self.centre)


class PlaceMemory(Frozen):
    """Remembered places, of anywhere or near: their m and, weighed by `closeness`, where they lay."""

    places: Tensor
    closeness: Tensor

    def __init__(self, num: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("places", torch.zeros(num, dimensions + 2))
        self.register_buffer("closeness", torch.zeros(()))

    def forward(self, m: Tensor, where: Tensor) -> Tensor:
        """The distance (b, h, w) of each place from the nearest; `where` (h, w, 2) are shares of height and width.

        The nearest k has the largest m·k − |k|²/2, which is too inexact for a small distance itself: that would be
        rounding only. Each chunk's nearest is therefore measured.
        """
        b, _, h, w = m.shape
        lies = (where * self.closeness).reshape(1, h * w, 2).expand(b, -1, -1)
        own = torch.cat([m.flatten(2).mT, lies], dim=2)
        with_one = torch.cat([own, torch.ones_like(own[:, :, :1])], dim=2)
        of_chunks = []
        for kept in torch.split(self.places, _CHUNK):
            half = kept.square().sum(dim=1, keepdim=True) / 2
            nearest = (with_one @ torch.cat([kept, -half], dim=1).T).argmax(dim=2)
            of_chunks.append(torch.linalg.vector_norm(own - kept[nearest], dim=2))
        distance = torch.stack(of_chunks).amin(dim=0)
        return distance.reshape(b, h, w)


class CellMemory(Frozen):
    """Remembered places for each cell of a grid over the picture: a place is compared with those of its own.

    With fewer cells than GRID a side the places are of 16 pixels, by the mean of the four of 8. Of m the first
    `dimensions` are compared.
    """

    places: Tensor

    def __init__(self, cells: int, num: int, dimensions: int) -> None:
        super().__init__()
        self.cells = cells
        self.register_buffer("places", torch.zeros(cells * cells, num, dimensions, dtype=torch.float16))

    def seen(self, maps: Tensor) -> Tensor:
        """Maps (b, c, h, w) of places as large as these."""
        return maps if self.cells == GRID else avg_pool2d(maps, 2)

    def forward(self, m: Tensor, where: Tensor) -> Tensor:
        """The distance (b, h, w) of each place from the nearest of its cell."""
        m = self.seen(m[:, : self.places.shape[2]])
        where = self.seen(where.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
        b, _, h, w = m.shape
        cells = (where * self.cells).long().clamp_max(self.cells - 1)
        cell = (cells[..., 0] * self.cells + cells[..., 1]).flatten()
        own = m.flatten(2).permute(2, 0, 1)
        of_chunks = []
        for places in torch.split(self.places, _CELL_CHUNK, dim=1):
            kept = places[cell].float()
            nearest = (kept.square().sum(dim=2)[:, None] - 2 * own @ kept.mT).argmin(dim=2, keepdim=True)
            found = kept.gather(1, nearest.expand(-1, -1, kept.shape[2]))
            of_chunks.append(torch.linalg.vector_norm(own - found, dim=2))
        distance = torch.stack(of_chunks).amin(dim=0).T.reshape(b, h, w)
        return distance if self.cells == GRID else interpolate(distance[None], scale_factor=2, mode="nearest")[0]


class PlaceNetworks(nn.Module):
    """Everything of one model; one state dict."""

    def __init__(self, config: FeaturesConfig) -> None:
        super().__init__()
        self.phi = PretrainedFeatures()
        self.axes = MainAxes(*((NUM_FEATURES + NUM_FINE,) * 2 if config.points else (NUM_FEATURES, DIMENSIONS)))
        coarse = config.memory_maps == "coarse"
        self.memory_axes = MainAxes(*((WIDTHS[16], COARSE_DIMENSIONS) if coarse else (NUM_FEATURES, NUM_FEATURES)))
        self.memory = memory_of(config, len(self.memory_axes.axes))
        self.D = PlaceDiscriminator(len(self.axes.axes)) if config.discriminator else None
        self.restorer = MapRestorer(NUM_FEATURES) if config.restorer else None
        self.half_restorer = HalfMapRestorer(NUM_FEATURES) if config.half_restorer else None
        self.statistics = PlaceStatistics(config.num_measured)
        self.labelled = LabelledDefects(len(self.axes.axes)) if config.labelled else None

    @property
    def evidence_names(self) -> tuple[str, ...]:
        """The names of the maps."""
        return evidence_names(len(self.statistics.mean), is_refined=self.labelled is not None)

    @property
    def phi_maps(self) -> PhiMaps:
        """What makes the maps that `judge` needs."""
        needs_points = isinstance(self.memory, AlignedMemory) or len(self.axes.centre) > NUM_FEATURES
        return PhiMaps(self.phi, with_points=needs_points, with_half=self.half_restorer is not None)

    def recall(self, maps: Tensor) -> Tensor:
        """m, by φ's maps."""
        m: Tensor = self.memory_axes(maps[:, NUM_FEATURES - len(self.memory_axes.centre) : NUM_FEATURES])
        return m

    def novelty(self, maps: Tensor, where: Tensor) -> Tensor:
        """(b, h, w), as it is."""
        if self.memory is None:
            return torch.zeros_like(maps[:, 0])
        of_points = isinstance(self.memory, AlignedMemory)
        seen = maps[:, NUM_FEATURES : NUM_FEATURES + NUM_FINE] if of_points else self.recall(maps)
        novelty: Tensor = self.memory(seen, where)
        return novelty

    def evidence(self, maps: Tensor, where: Tensor) -> Tensor:
        """Novelty, doubt and the residuals (b, k, h, w) by φ's maps; 0 for what is not there, but before another."""
        nothing = torch.zeros_like(maps[:, 0])
        kinds = [self.novelty(maps, where), nothing if self.D is None else -self.D(self.axes(maps))]
        if self.restorer is not None:
            kinds.append(self.restorer(maps))
        elif self.half_restorer is not None:
            kinds.append(nothing)
        if self.half_restorer is not None:
            kinds.append(self.half_restorer(maps))
        return torch.stack(kinds, dim=1)

    def forward(self, x: Tensor, window: Tensor, pose: Tensor) -> Tensor:
        """The maps; `window` (2,) is the first row of x in its picture, and the number of all its rows.

        `pose` (2, 3) is how the picture lies (see `data.pose`).
        """
        return self.judge(self.phi_maps(x), window, pose)

    def judge(self, maps: Tensor, window: Tensor, pose: Tensor) -> Tensor:
        """The maps by those of φ."""
        where = posed(places_of(maps.shape[2], maps.shape[3], window), pose)
        own = self.statistics(self.evidence(maps, where), where)
        total = strength(own, by_half=self.is_by_half)
        if self.labelled is None:
            return torch.cat([total[:, None], own], dim=1)
        labelled = self.labelled(self.axes(maps))
        return torch.cat([(total + labelled)[:, None], own, labelled[:, None]], dim=1)

    @property
    def is_by_half(self) -> bool:
        """See `strength`."""
        finer = (self.memory, self.D, self.restorer)
        return self.half_restorer is not None and any(network is not None for network in finer)


Memory = PlaceMemory | CellMemory | AlignedMemory


def memory_of(config: FeaturesConfig, dimensions: int) -> Memory | None:
    """An empty one of m with so many `dimensions`; None where there is none, or its kind is still open."""
    if not config.memory or config.places == "auto":
        return None
    match config.places:
        case Place.SAME:
            own = dimensions if config.memory_cells == GRID else min(dimensions, CELL_DIMENSIONS)
            return CellMemory(config.memory_cells, config.memory_per_place, own)
        case Place.ALIGNED:
            return AlignedMemory(config.memory_grid)
        case _:
            return PlaceMemory(config.memory, dimensions)


def places_of(height: int, width: int, window: Tensor) -> Tensor:
    """(height, width, 2): the middle of each place, as shares of the picture's height and width."""
    rows = (window[0] + PLACE * (torch.arange(height, device=window.device) + 0.5)) / window[1]
    columns = (torch.arange(width, device=window.device) + 0.5) / width
    return torch.stack([rows[:, None].expand(-1, width), columns[None].expand(height, -1)], dim=2)


def posed(where: Tensor, pose: Tensor) -> Tensor:
    """Where places of a picture (h, w, 2) that lies so (2, 3) are in the reference."""
    return where @ pose[:, :2].T + pose[:, 2]


def _features(maps: dict[int, Tensor]) -> Tensor:
    """(b, NUM_FEATURES, h/8, w/8): of the maps at 1/8 and 1/16."""
    coarse = interpolate(_neighbours(maps[16]), scale_factor=2, mode="bilinear", align_corners=False)
    return torch.cat([_neighbours(maps[8]), coarse], dim=1)


def _neighbours(maps: Tensor) -> Tensor:
    return avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)
