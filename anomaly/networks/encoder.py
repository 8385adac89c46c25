"""The encoder E: images (b, c, size, size) in [-1, 1] → latents (b, latent_dim). Source: Donahue 2017 (BiGAN)."""

from itertools import pairwise

from torch import Tensor, nn

from anomaly.config import NetworkPlan, Prior
from anomaly.networks.blocks import down, widths


class Encoder(nn.Module):
    """The mirror of the generator; its output is unbounded for a Gaussian prior, and ends in tanh for a uniform one."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        channels = [plan.channels, *widths(plan.size, plan.width, plan.max_width)]
        self.downs = nn.Sequential(*(down(a, b, norm=level > 0) for level, (a, b) in enumerate(pairwise(channels))))
        bound = [nn.Tanh()] if plan.prior is Prior.UNIFORM else []
        self.to_latent = nn.Sequential(nn.Flatten(), nn.Linear(channels[-1] * 4 * 4, plan.latent_dim), *bound)

    def forward(self, x: Tensor) -> Tensor:
        """z_hat = E(x)."""
        z: Tensor = self.to_latent(self.downs(x))
        return z
