"""Evidence of what labelled defects have taught; it adds to the evidence from normals, and takes nothing from it.

A discriminator has learnt to tell the places of labelled defects from normal places. What it says of a place counts
only beyond a limit, which three of four normal pictures stay below. So most pictures have none of this evidence, and
kinds of defects that nobody has labelled are told nearly as before. Beyond the limit it weighs more than a kind of
evidence from normals.
Shapes: q (b, dimensions, h/8, w/8), whitened; evidence (b, h/8, w/8).
"""

import torch
from torch import Tensor, nn

from anomaly.networks.place_discriminator import PlaceDiscriminator

WEIGHT = 3.0
"""Of a deviation beyond the limit, in deviations of the evidence from normals."""


class LabelledDefects(nn.Module):
    """The discriminator; the mean and deviation of what it says of normal places; the limit, in such deviations."""

    mean: Tensor
    deviation: Tensor
    limit: Tensor

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.D = PlaceDiscriminator(dimensions)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("limit", torch.zeros(()))

    def likeness(self, q: Tensor) -> Tensor:
        """How much a place is like a labelled defect, (b, h, w), as it is: the negated logit."""
        logits: Tensor = self.D(q)
        return -logits

    def forward(self, q: Tensor) -> Tensor:
        """The evidence, at least 0."""
        return WEIGHT * ((self.likeness(q) - self.mean) / self.deviation - self.limit).clamp_min(0)
