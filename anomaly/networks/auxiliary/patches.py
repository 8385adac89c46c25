"""The patch discriminator D_patch: for each place of an image, whether it looks normal.

It sees the image at full resolution, and no z. Its logits are on a grid of a quarter of the side, fine enough for a
crack of one pixel. Coarser maps see a wider surrounding, which a shade needs, and pass what they found to the finer
ones. Each image is standardised, because a defect removes a share of the brightness: in a dark image the same defect is
a smaller step.
Shapes: x (b, c, size, size) in [-1, 1], size a multiple of 8; logits (b, size/4, size/4), high for normal; features
(b, NUM_FEATURES, size/8, size/8).
Source: Isola 2017 (PatchGAN), §3.2.2; Schönfeld 2020 (a U-Net as discriminator), §3.1; Lin 2017 (feature pyramids), §3.
"""

from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from anomaly.config import NetworkPlan
from anomaly.networks.blocks import LEAK, down

WIDTH = 32
NUM_FEATURES = 2 * WIDTH
_SPREAD, _EVEN = 4.0, 0.01  # an image of one grey has no standard deviation to be divided by
_COARSE = (2 * WIDTH, 3 * WIDTH, 4 * WIDTH, 4 * WIDTH)  # channels at 1/4, 1/8, 1/16 and 1/32 of the side


class PatchJudgement(NamedTuple):
    """Logits at a quarter of the side, and the merged features at an eighth of it; see the module's shapes."""

    logits: Tensor
    features: Tensor


class PatchDiscriminator(nn.Module):
    """A feature pyramid: maps down to 1/32 of the side, or as far as it can be halved, merged back up to a quarter."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        num_halvings = (plan.size & -plan.size).bit_length() - 1
        channels = _COARSE[: num_halvings - 1]
        self.fine = nn.Sequential(*down(plan.channels, WIDTH, norm=False), *down(WIDTH, channels[0], norm=True))
        self.coarser = nn.ModuleList(down(a, b, norm=True) for a, b in pairwise(channels))
        self.across = nn.ModuleList(nn.Conv2d(a, NUM_FEATURES, kernel_size=1) for a in channels)
        self.merge = nn.ModuleList(_merge() for _ in channels)
        self.to_logits = nn.Conv2d(NUM_FEATURES, 1, kernel_size=1)

    def forward(self, x: Tensor) -> PatchJudgement:
        """D_patch(x)."""
        maps = [self.fine(standardise(x))]
        for coarser in self.coarser:
            maps.append(coarser(maps[-1]))
        h = self.merge[-1](self.across[-1](maps[-1]))
        features = h
        for across, merge, fine in list(zip(self.across, self.merge, maps, strict=True))[-2::-1]:
            features = h
            h = merge(across(fine) + interpolate(h, scale_factor=2))
        return PatchJudgement(self.to_logits(h).squeeze(1), features)


def doubt(logits: Tensor) -> Tensor:
    """−logits, averaged over 3 × 3; then the largest of each 2 × 2: (b, size/8, size/8)."""
    return max_pool2d(avg_pool2d(-logits, 3, stride=1, padding=1, count_include_pad=False), 2)


def standardise(x: Tensor) -> Tensor:
    """Each image (b, c, h, w) minus its mean, scaled so that four of its standard deviations are 1, clamped there."""
    mean, std = x.mean(dim=(1, 2, 3), keepdim=True), x.std(dim=(1, 2, 3), keepdim=True)
    return ((x - mean) / (_SPREAD * std + _EVEN)).clamp(-1.0, 1.0)


def _merge() -> nn.Sequential:
    conv = nn.Conv2d(NUM_FEATURES, NUM_FEATURES, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(NUM_FEATURES), nn.LeakyReLU(LEAK))
