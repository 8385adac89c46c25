"""Augmentation: training images rotated, scaled, sheared and shifted a little, as parts in front of a camera are.

Networks soon memorise a few dozen images. Then they reconstruct these only, and every other normal image looks
abnormal. With augmentation no two training images are alike. Images that select, calibrate or are scored are not moved.
Shapes: x (b, c, size, size) in [-1, 1].
Source: Simard 2003 (affine copies of few digits), §2.
"""

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from anomaly.training.ranks import ALONE, Ranks

_TURN = 0.12  # standard deviation, radians
_SCALE = 0.08  # that of the logarithm of each axis' scale
_SHEAR = 0.1  # standard deviation
_SHIFT = 0.05  # of the side, at most, each way


def augment(x: Tensor, rng: torch.Generator, ranks: Ranks = ALONE) -> Tensor:
    """Each image by an affine map of its own around its centre; its edge pixels are repeated beyond the border."""
    num = ranks.size * len(x)
    turn, shear = _TURN * torch.randn(num, generator=rng), _SHEAR * torch.randn(num, generator=rng)
    scale = (_SCALE * torch.randn(num, 2, generator=rng)).exp()
    shift = 2 * _SHIFT * (2 * torch.rand(num, 2, generator=rng) - 1)  # of a side that reaches from −1 to 1
    cos, sin, zero, one = turn.cos(), turn.sin(), torch.zeros(num), torch.ones(num)
    turns = torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)
    shears = torch.stack([one, shear, zero, one], dim=1).view(-1, 2, 2)
    maps = torch.cat([turns @ shears @ torch.diag_embed(scale), shift[:, :, None]], dim=2)
    grid = affine_grid(ranks.own(maps).to(x.device), list(x.shape), align_corners=False)
    moved = grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return moved.contiguous(memory_format=torch.channels_last)
