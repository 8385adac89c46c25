"""What normal images show at each place, and kinds of evidence measured by it as one.

Shapes: evidence (b, k, h, w), of k kinds; where (h, w, 2), as shares of the picture's height and width.
"""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from anomaly.networks.frozen import Frozen

GRID = 32  # places of each are interpolated between GRID × GRID


class PlaceStatistics(Frozen):
    """Mean and deviation of each kind of evidence of normal images, on a grid over the picture."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, num_kinds: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_kinds, GRID, GRID))
        self.register_buffer("deviation", torch.ones(num_kinds, GRID, GRID))

    def forward(self, evidence: Tensor, where: Tensor) -> Tensor:
        """Evidence (b, k, h, w) in deviations."""
        at = (2 * where - 1).flip(-1)[None]
        known = torch.cat([self.mean, self.deviation])[None]
        mean, deviation = grid_sample(known, at, padding_mode="border", align_corners=False).chunk(2, dim=1)
        return (evidence - mean) / deviation


def strength(own: Tensor, *, by_half: bool) -> Tensor:
    """All kinds of evidence (b, k, h, w), in deviations, as one (b, h, w): their sum.

    With `by_half` the last kind is of the picture at half its size, and counts at most as much as the others together.
    It is coarse: beside a large defect it is strong where they show nothing.
    """
    if not by_half:
        return own.sum(dim=1)
    finer = own[:, :-1].sum(dim=1)
    return finer + torch.minimum(own[:, -1], finer.clamp_min(0))
