"""Whether normal pictures lie alike, and what they show at each point of the picture that they are aligned with.

Shapes: pixels (c, h, w) uint8; points (NUM_FINE, h/8, w/8); poses (2, 3), see `data.pose`.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pixel_shuffle

from anomaly.config import FeaturesConfig, Place
from anomaly.data import NormalSplit, PixelsOfImages
from anomaly.data.pose import pose_of, reference_of
from anomaly.networks.aligned_memory import FINE, AlignedMemory
from anomaly.networks.pretrained import WIDTHS

ALIKE = 0.9
"""Correlation with the reference, once aligned, that nine of ten normals must reach to lie alike."""
_ASKED = 40  # normals
_LEAST_SHARE = 0.25  # of the pictures that must show a point
_SHARED = 0.1  # of a channel's variance at all points, beside a point's own


def find_reference(pixels: PixelsOfImages, split: NormalSplit, config: FeaturesConfig) -> NDArray[np.float32] | None:
    """The first picture that trains, with which others are aligned; None where no memory may be of aligned pictures.

    With `places="auto"` it may where the *select* normals lie as that picture does.
    """
    if not config.memory or config.places not in ("auto", Place.ALIGNED):
        return None
    reference = reference_of(pixels[split.train[0]])
    if config.places is Place.ALIGNED:
        return reference
    agreements = [pose_of(reference, pixels[row]).agreement for row in split.select[:_ASKED]]
    return reference if np.quantile(agreements, 0.1) >= ALIKE else None


class PointSums:
    """Sums over pictures, at grid × grid points of the reference."""

    def __init__(self, reference: NDArray[np.float32], grid: int) -> None:
        self._reference, self._grid = reference, grid
        self._first = torch.zeros(WIDTHS[4], grid, grid)
        self._second = torch.zeros(WIDTHS[4], grid, grid)
        self._seen = torch.zeros(grid, grid)
        self._num = 0

    def add(self, points: Tensor, pose: NDArray[np.float32]) -> None:
        """Add what one picture, which lies so, shows at each point."""
        height, width = FINE * points.shape[1], FINE * points.shape[2]
        at = _from_reference(pose, self._grid)
        picture = torch.cat([pixel_shuffle(points, FINE), torch.ones(1, height, width)])[None]
        found = grid_sample(picture, at, padding_mode="zeros", align_corners=False)[0]
        is_seen = (found[-1] > 1 - 1e-3).float()
        self._first += found[:-1] * is_seen
        self._second += found[:-1].square() * is_seen
        self._seen += is_seen
        self._num += 1

    def memory(self) -> AlignedMemory:
        """The memory of them."""
        memory = AlignedMemory(self._grid)
        num = self._seen.clamp_min(1)
        mean = self._first / num
        variance = (self._second / num - mean.square()).clamp_min(0)
        is_known = self._seen >= _LEAST_SHARE * self._num
        shared = variance[:, is_known].mean(dim=1)[:, None, None]
        memory.mean = mean.half()
        memory.deviation = (variance + _SHARED * shared).sqrt().half()
        memory.is_known = is_known.half()
        memory.reference = torch.from_numpy(self._reference)
        return memory


def _from_reference(pose: NDArray[np.float32], grid: int) -> Tensor:
    """Where the points of the reference lie in a picture (1, grid, grid, 2): x and y in [-1, 1]."""
    back = np.linalg.inv(np.vstack([pose.astype(np.float64), [0, 0, 1]]))
    swapped = back[[1, 0, 2]][:, [1, 0, 2]]  # to columns first
    to_shares = np.array([[0.5, 0, 0.5], [0, 0.5, 0.5], [0, 0, 1]])
    theta = (np.linalg.inv(to_shares) @ swapped @ to_shares)[:2]
    return affine_grid(torch.from_numpy(theta).float()[None], [1, 1, grid, grid], align_corners=False)
