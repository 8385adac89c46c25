"""The generator G: latents (b, latent_dim) → images (b, c, size, size) in [-1, 1]. Source: Radford 2016 (DCGAN)."""

from itertools import pairwise

from torch import Tensor, nn

from anomaly.config import NetworkConfig
from anomaly.networks.blocks import up, widths


class Generator(nn.Module):
    """Projects z to 4 × 4 maps and doubles their side up to the image."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels = widths(config.size, config.width, config.max_width)[::-1]
        self.project = nn.Sequential(
            nn.Linear(config.latent_dim, channels[0] * 4 * 4, bias=False),
            nn.Unflatten(1, (channels[0], 4, 4)),
            nn.BatchNorm2d(channels[0]),
            nn.ReLU(),
        )
        self.ups = nn.Sequential(*(up(wide, narrow) for wide, narrow in pairwise(channels)))
        self.to_image = nn.Sequential(
            nn.ConvTranspose2d(channels[-1], config.channels, kernel_size=4, stride=2, padding=1), nn.Tanh()
        )

    def forward(self, z: Tensor) -> Tensor:
        """X = G(z)."""
        x: Tensor = self.to_image(self.ups(self.project(z)))
        return x
