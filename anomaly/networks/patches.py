"""The patch discriminator D_patch: of each place of an image, whether it looks as normal images do there.

It sees the full resolution and nothing of z, and its logits stand on a grid of a quarter of the side: a crack of one
pixel is seen as what it is, wherever it lies. Two paths meet: a fine one, and one that sees some 35 pixels around.
Shapes: x (b, c, h, w) in [-1, 1], h and w multiples of 8; logits (b, h/4, w/4), high for normal.
Source: Isola 2017 (PatchGAN), §3.2.2; Schönfeld 2020 (a U-Net as discriminator), §3.1.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from anomaly.config import NetworkConfig
from anomaly.networks.blocks import LEAK, down

STRIDE = 4
WIDTH = 32


class PatchDiscriminator(nn.Module):
    """Fully convolutional, so that it takes crops and whole images of any side."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.Conv2d(config.channels, WIDTH // 2, kernel_size=3, padding=1),
            nn.LeakyReLU(LEAK),
            *down(WIDTH // 2, WIDTH, norm=True),
            *down(WIDTH, 2 * WIDTH, norm=True),
        )
        self.coarse = nn.Sequential(*down(2 * WIDTH, 3 * WIDTH, norm=True), *_same(3 * WIDTH, 3 * WIDTH, dilation=2))
        self.both = nn.Sequential(*_same(5 * WIDTH, 2 * WIDTH), nn.Conv2d(2 * WIDTH, 1, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        """The logits of D_patch(x)."""
        fine = self.fine(x)
        coarse = interpolate(self.coarse(fine), scale_factor=2, mode="bilinear", align_corners=False)
        logits: Tensor = self.both(torch.cat([fine, coarse], dim=1)).squeeze(1)
        return logits


def _same(in_channels: int, out_channels: int, *, dilation: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.LeakyReLU(LEAK))
