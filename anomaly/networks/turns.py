"""The turn discriminator D_turn: by how many quarters an image was turned.

To tell that, it must know what its objects look like and how they stand; of what it has never seen it is unsure.
Shapes: x (b, c, size, size) in [-1, 1], size a multiple of 8; logits (b, 4), of no, one, two and three quarter turns.
Source: Gidaris 2018 (RotNet); Chen 2019 (self-supervised GANs), §3, for a discriminator that is asked it; He 2016.
"""

import torch
from torch import Tensor, nn

from anomaly.config import NetworkConfig
from anomaly.networks.blocks import LEAK, down

NUM_TURNS = 4
WIDTH = 32
_SIDE = 16  # of the maps that the first residual block sees


class TurnDiscriminator(nn.Module):
    """Halves the side to 16, then three residual blocks; the mean over all places decides."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        num_halvings = max((config.size // _SIDE).bit_length() - 1, 0)
        channels = [config.channels, *[WIDTH] * num_halvings]
        self.maps = nn.Sequential(
            *(down(a, WIDTH, norm=True) for a in channels[:-1]),
            _Residual(channels[-1], 2 * WIDTH, stride=1),
            _Residual(2 * WIDTH, 4 * WIDTH, stride=2),
            _Residual(4 * WIDTH, 4 * WIDTH, stride=2),
        )
        self.to_logits = nn.Linear(4 * WIDTH, NUM_TURNS)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of D_turn(x)."""
        logits: Tensor = self.to_logits(self.maps(x).mean(dim=(2, 3)))
        return logits


def turned(x: Tensor) -> Tensor:
    """Images (b, c, s, s) not turned, then by one, two and three quarters: (4·b, c, s, s), channels last."""
    copies = torch.cat([torch.rot90(x, quarters, dims=(2, 3)) for quarters in range(NUM_TURNS)])
    return copies.contiguous(memory_format=torch.channels_last)


class _Residual(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.skip = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)
        self.activation = nn.LeakyReLU(LEAK)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.activation(self.branch(x) + self.skip(x))
        return h
