"""Normals of the *select* set and the same spoilt, as φ sees them: by what choices are made.

Shapes: pixels (c, h, w) uint8; evidence (k, h/8, w/8).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.data import Pixels
from anomaly.data.pose import pose_of
from anomaly.networks.aligned_memory import AlignedMemory
from anomaly.networks.places import Memory, PlaceNetworks, posed
from anomaly.training.places.pool import Extract, where_of
from anomaly.training.places.statistics import measured

MAX_PLACES = 2**15  # judged at once: 128 MB beside 1,024 remembered ones


@dataclass(frozen=True)
class PlaceExample:
    """One image: φ's maps (1, num_features, h/8, w/8), and where its places lie (h/8, w/8, 2), and in the reference."""

    maps: Tensor
    where: Tensor
    aligned: Tensor

    def seen_by(self, memory: Memory | None) -> "PlaceExample":
        """With `where` as the evidence of this memory has it."""
        return replace(self, where=self.aligned) if isinstance(memory, AlignedMemory) else self


@dataclass(frozen=True)
class Look:
    """Makes examples of images; with a `reference` they are aligned with it."""

    extract: Extract
    reference: NDArray[np.float32] | None

    def __call__(self, image: Pixels) -> PlaceExample:
        """An image (c, h, w)."""
        maps = self.extract(image)
        where = aligned = where_of(maps)
        if self.reference is not None:
            aligned = posed(where, torch.from_numpy(pose_of(self.reference, image).matrix))
        return PlaceExample(torch.from_numpy(maps)[None], where, aligned)


@dataclass(frozen=True)
class ChosenBy:
    """Some *select* normals, and the same spoilt; each half of them is judged by the other (see `halves_of`)."""

    own: list[PlaceExample]
    spoilt: list[PlaceExample]
    halves: list[int]

    @property
    def where(self) -> list[Tensor]:
        """Where each normal's places lie; an aligned spoilt one's lie a little differently, which changes nothing."""
        return [each.where for each in self.own]

    def seen_by(self, memory: Memory | None) -> "ChosenBy":
        """See `PlaceExample`."""
        own, spoilt = ([each.seen_by(memory) for each in examples] for examples in (self.own, self.spoilt))
        return ChosenBy(own, spoilt, self.halves)

    def auroc(self, evidence: Callable[[PlaceExample], Tensor], *, by_half: bool = False) -> float:
        """How well evidence (k, h, w) tells the spoilt ones from the normals; `by_half`: see `strength`."""
        own, spoilt = ([evidence(each) for each in examples] for examples in (self.own, self.spoilt))
        return measured(own, spoilt, self.where, self.halves, by_half=by_half)[0]


@torch.no_grad()
def evidence_of(networks: PlaceNetworks, example: PlaceExample) -> Tensor:
    """What these networks show of an example (k, h/8, w/8), as it is.

    A large one is computed in strips of rows, where each place is judged by itself.
    """
    _, _, height, width = example.maps.shape
    num_rows = max(MAX_PLACES // width // 2 * 2, 2)  # even: a place of a memory may be two high
    sees_others = networks.restorer or networks.half_restorer or isinstance(networks.memory, AlignedMemory)
    if height <= num_rows or sees_others:
        return networks.evidence(example.maps, example.where)[0]
    strips = zip(torch.split(example.maps, num_rows, dim=2), torch.split(example.where, num_rows), strict=True)
    return torch.cat([networks.evidence(maps, where)[0] for maps, where in strips], dim=1)
