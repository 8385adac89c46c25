"""What every auxiliary discriminator is: a network that learns a task of its own, and the evidence that it gives.

To add one: a subclass in a file of its own, a field of `AuxiliaryConfig` with its name, and a place in the list
`AUXILIARIES`. Training, evidence and bundles use this protocol only.
Shapes: x (b, c, size, size) in [-1, 1].
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from anomaly.config import NetworkPlan

Batches = Callable[[int | None], Iterator[Tensor]]
"""Normal images in batches x; with a number, at most so many images, evenly spaced among all."""


class AuxiliaryEvidence(NamedTuple):
    """Higher is more anomalous: a term (b,), and maps (b, h, w) that show where, each on its own grid."""

    term: Tensor
    maps: tuple[Tensor, ...]


class Auxiliary(nn.Module, ABC):
    """`name` is the name of its field in `AuxiliaryConfig`, of its term, and of its training curves.

    `discriminator` is the network that is trained, and that may compute in another precision.
    """

    name: ClassVar[str]
    discriminator: nn.Module

    @abstractmethod
    def examples(self, x: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """What the discriminator learns from in this step: images made of a batch, and what is asked of each.

        Random draws depend on `seed` and `step` only.
        """

    @abstractmethod
    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """What the discriminator minimises: the mean over `examples`, or some of them."""

    def settle(self, plan: NetworkPlan, train: Batches, select: Batches) -> None:
        """Once after training: use the *train* and *select* images, as a memory bank does. By default nothing."""

    @abstractmethod
    def forward(self, x: Tensor) -> AuxiliaryEvidence:
        """The evidence of images."""

    @staticmethod
    @abstractmethod
    def num_maps(plan: NetworkPlan) -> int:
        """How many maps its evidence has."""
