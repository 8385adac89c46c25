"""The discriminator D: of images, D(x), or of pairs, D(x, z). It also gives the features f of its layers, by name.

Shapes: x (b, c, size, size) in [-1, 1]; z (b, latent_dim); logits (b,), high for real.
Source: Radford 2016 (DCGAN); Donahue 2017 (BiGAN) for the joint form.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from anomaly.config import NetworkConfig
from anomaly.networks.blocks import LEAK, down, widths


@dataclass(frozen=True)
class Judgement:
    """What D says of a batch: logits (b,), and each layer's features (b, channels, height, width) by name."""

    logits: Tensor
    features: dict[str, Tensor]


def feature_names(config: NetworkConfig) -> list[str]:
    """The layers of D in order: conv1, conv2, … to 4 × 4, then joint where D sees pairs."""
    convs = [f"conv{level + 1}" for level in range(len(widths(config.size, config.width, config.max_width)))]
    return [*convs, "joint"] if config.joint else convs


class Discriminator(nn.Module):
    """Halves the side down to 4 × 4; a joint one meets an embedding of z there, at every place."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels = [config.channels, *widths(config.size, config.width, config.max_width)]
        self.downs = nn.ModuleDict(
            {f"conv{level + 1}": down(a, b, norm=False) for level, (a, b) in enumerate(pairwise(channels))}
        )
        last = channels[-1]
        self.embed = nn.Sequential(nn.Linear(config.latent_dim, last), nn.LeakyReLU(LEAK)) if config.joint else None
        self.joint = nn.Sequential(nn.Conv2d(2 * last, last, kernel_size=1), nn.LeakyReLU(LEAK))
        if not config.joint:
            self.joint = nn.Sequential()
        self.to_logit = nn.Sequential(nn.Flatten(), nn.Linear(last * 4 * 4, 1))

    def forward(self, x: Tensor, z: Tensor | None = None) -> Judgement:
        """D(x), or D(x, z) for a joint discriminator."""
        features: dict[str, Tensor] = {}
        h = x
        for name, layer in self.downs.items():
            h = features[name] = layer(h)
        if self.embed is not None:
            assert z is not None, "a joint discriminator judges pairs (x, z)"
            e = self.embed(z)[:, :, None, None].expand(-1, -1, *h.shape[2:])
            h = features["joint"] = self.joint(torch.cat([h, e], dim=1))
        return Judgement(self.to_logit(h).squeeze(1), features)
