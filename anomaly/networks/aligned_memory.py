"""How normal pictures of one object vary at each point of it, where the pictures are aligned.

Shapes: points (b, NUM_FINE, h/8, w/8), φ's map at 1/4 as the points of each place; where (h/8, w/8, 2), as shares
of the reference's height and width.
Source: Defard 2021 (PaDiM), §3.2 and §3.3, with a variance for each channel instead of the covariance.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, max_pool2d, pixel_shuffle

from anomaly.config.places import PLACE, REFERENCE_SIDE
from anomaly.networks.frozen import Frozen
from anomaly.networks.pretrained import WIDTHS

FINE = PLACE // 4  # points of a place's side
NUM_FINE = FINE**2 * WIDTHS[4]


class AlignedMemory(Frozen):
    """Mean and deviation of each channel at grid × grid points of the reference, and which of these are known.

    `reference` is the picture that others are aligned with (see `data.pose`).
    """

    mean: Tensor
    deviation: Tensor
    is_known: Tensor
    reference: Tensor

    def __init__(self, grid: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(WIDTHS[4], grid, grid, dtype=torch.float16))
        self.register_buffer("deviation", torch.ones(WIDTHS[4], grid, grid, dtype=torch.float16))
        self.register_buffer("is_known", torch.zeros(grid, grid, dtype=torch.float16))
        self.register_buffer("reference", torch.zeros(REFERENCE_SIDE, REFERENCE_SIDE))

    def forward(self, points: Tensor, where: Tensor) -> Tensor:
        """How far each place is from the mean (b, h/8, w/8): as its most distant point, each the mean of 3 × 3 points.

        At one point it is the root mean square over channels, in their deviations; 0 if unknown.
        """
        seen = pixel_shuffle(points, FINE)
        stored = torch.cat([self.mean, self.deviation, self.is_known[None]]).float()[None]
        at = (2 * points_of(where) - 1).flip(-1)[None]
        found = grid_sample(stored, at, padding_mode="zeros", align_corners=False)
        mean, deviation, known = found[:, : WIDTHS[4]], found[:, WIDTHS[4] : -1], found[:, -1:]
        squares = ((seen - mean) / deviation.clamp_min(1e-4)).square().mean(dim=1, keepdim=True)
        distance = avg_pool2d(squares.sqrt() * (known > _ALL), 3, stride=1, padding=1, count_include_pad=False)
        return max_pool2d(distance, FINE).squeeze(1)


_ALL = 0.99  # of the four points that are interpolated between


def points_of(where: Tensor) -> Tensor:
    """Where the points of places lie (h · FINE, w · FINE, 2), from where these lie (h, w, 2), evenly spaced."""
    down, right = where[1, 0] - where[0, 0], where[0, 1] - where[0, 0]
    offsets = (torch.arange(FINE, device=where.device) + 0.5) / FINE - 0.5
    height, width, _ = where.shape
    of_rows, of_columns = offsets[:, None] * down, offsets[:, None] * right
    points = where[:, None, :, None] + of_rows[:, None, None] + of_columns
    return points.reshape(height * FINE, width * FINE, 2)
