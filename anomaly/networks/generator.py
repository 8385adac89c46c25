"""The generator G: latents (b, latent_dim) → images (b, c, size, size) in [-1, 1]. Source: Radford 2016 (DCGAN)."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from anomaly.config import NetworkPlan
from anomaly.networks.blocks import up, widths


class _Projection(nn.Linear):
    """z → W z. Where a latent search takes gradients on a CPU, in double precision.

    The gradient of z is a sum over all of the first maps, which a matrix library splits among its threads. In single
    precision its rounding would depend on their number, and a latent search of hundreds of steps magnifies that.
    """

    def forward(self, z: Tensor) -> Tensor:
        if self.training or z.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(z)
        return linear(z.double(), self.weight.double()).to(z.dtype)


class Generator(nn.Module):
    """Projects z to 4 × 4 maps and doubles their side up to the image."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        channels = widths(plan.size, plan.width, plan.max_width)[::-1]
        self.project = nn.Sequential(
            _Projection(plan.latent_dim, channels[0] * 4 * 4, bias=False),
            nn.Unflatten(1, (channels[0], 4, 4)),
            nn.BatchNorm2d(channels[0]),
            nn.ReLU(),
        )
        self.ups = nn.Sequential(*(up(wide, narrow) for wide, narrow in pairwise(channels)))
        self.to_image = nn.Sequential(
            nn.ConvTranspose2d(channels[-1], plan.channels, kernel_size=4, stride=2, padding=1), nn.Tanh()
        )

    def forward(self, z: Tensor) -> Tensor:
        """X = G(z)."""
        x: Tensor = self.to_image(self.ups(self.project(z)))
        return x
