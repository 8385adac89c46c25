"""DCGAN's discriminator D: of images, D(x), or of pairs, D(x, z). It also gives the features f of its layers, by name.

Shapes: x (b, c, size, size) in [-1, 1]; z (b, latent_dim); logits (b,), high for real.
Source: Radford 2016 (DCGAN); Donahue 2017 (BiGAN) for the joint form; Zenati 2018b (ALAD) for pairs of images.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from anomaly.config import NetworkPlan
from anomaly.config.layers import convolution_names
from anomaly.networks.blocks import LEAK, down, widths
from anomaly.networks.judgement import Judgement


class Discriminator(nn.Module):
    """Halves the side down to 4 × 4. A joint one adds an embedding of z there, at every place.

    With `images` of 2 it is D_xx, which sees two images, channels one after the other, and no z.
    """

    def __init__(self, plan: NetworkPlan, *, images: int = 1) -> None:
        super().__init__()
        channels = [images * plan.channels, *widths(plan.size, plan.width, plan.max_width)]
        norm = plan.discriminator_batch_norm
        self.downs = nn.ModuleDict(
            {
                name: down(a, b, norm=norm and name != "conv1")
                for name, (a, b) in zip(convolution_names(plan), pairwise(channels), strict=True)
            }
        )
        last, is_joint = channels[-1], plan.joint and images == 1
        self.embed = nn.Sequential(nn.Linear(plan.latent_dim, last), nn.LeakyReLU(LEAK)) if is_joint else None
        self.joint = nn.Sequential(nn.Conv2d(2 * last, last, kernel_size=1), nn.LeakyReLU(LEAK))
        if not is_joint:  # its weights are drawn all the same: without that, a seed would give other networks
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
