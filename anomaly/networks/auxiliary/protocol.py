"""What every auxiliary discriminator is: a network with a lesson of its own, and the evidence that it gives.

A further one is a class with this protocol in a file of its own, a field of `AuxiliaryConfig` with its name, and a
place in the list `AUXILIARIES`. Training, evidence and bundles know it by the protocol alone.
Shapes: x (b, c, size, size) in [-1, 1].
"""

from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from anomaly.config import NetworkPlan

Batches = Callable[[int | None], Iterator[Tensor]]
"""Normal images in batches x; with a number, at most so many images, evenly among all."""


class AuxiliaryEvidence(NamedTuple):
    """Higher is more anomalous: a term (b,), and maps (b, h, w) that tell where, each of its own grid."""

    term: Tensor
    maps: tuple[Tensor, ...]


class Auxiliary(nn.Module):
    """`name` is that of its field in `AuxiliaryConfig`, of its term, and of its training curves.

    `discriminator` is what it trains, and what may compute in another precision.
    """

    name: ClassVar[str]
    discriminator: nn.Module

    def loss(self, x: Tensor, *, seed: int, step: int) -> Tensor:
        """What the discriminator minimises in this step of a run; draws depend on `seed` and `step` alone."""
        raise NotImplementedError

    def settle(self, plan: NetworkPlan, train: Batches, select: Batches) -> None:
        """After training: look at the images that were trained on, and at the *select* normals; nothing by default."""

    def forward(self, x: Tensor) -> AuxiliaryEvidence:
        """The evidence of images, whatever else is asked for."""
        raise NotImplementedError

    @staticmethod
    def num_maps(plan: NetworkPlan) -> int:
        """How many maps its evidence has."""
        raise NotImplementedError
