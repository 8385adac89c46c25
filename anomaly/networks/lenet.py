"""LeNet-5 as a discriminator of 32 × 32 images. Source: LeCun 1998, §II.B; its layers keep their names.

As in the paper: 5 × 5 convolutions, average pooling with a weight and a bias for each map, tanh units.
Not as in the paper: C3 sees all maps of S2, and one logit takes the place of the ten outputs.
"""

from torch import Tensor, nn

from anomaly.config import NetworkPlan
from anomaly.networks.judgement import Judgement


class LeNetDiscriminator(nn.Module):
    """(b, c, 32, 32) → C1 6 × 28 × 28 → S2 6 × 14 × 14 → C3 16 × 10 × 10 → S4 16 × 5 × 5 → C5 120 → F6 84 → logit."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {
                "C1": _convolution(plan.channels, 6),
                "S2": _subsampling(6),
                "C3": _convolution(6, 16),
                "S4": _subsampling(16),
                "C5": nn.Sequential(_convolution(16, 120), nn.Flatten()),
                "F6": nn.Sequential(nn.Linear(120, 84), nn.Tanh()),
            }
        )
        self.to_logit = nn.Linear(84, 1)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Judgement:
        """D(x); z is not used."""
        features: dict[str, Tensor] = {}
        h = x
        for name, layer in self.layers.items():
            h = features[name] = layer(h)
        return Judgement(self.to_logit(h).squeeze(1), features)


def _convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel_size=5), nn.Tanh())


def _subsampling(channels: int) -> nn.Sequential:
    """2 × 2 averages, times a weight and plus a bias for each map: a 1 × 1 convolution of each map alone."""
    return nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, channels, kernel_size=1, groups=channels), nn.Tanh())
