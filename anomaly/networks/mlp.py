"""Fully connected G, E and D, for images of any side; and D_zz, which judges pairs of latents.

Shapes as in `generator`, `encoder` and `discriminator`; the features of D's hidden layers are (b, units).
Source: Goodfellow 2014, §5, for G and D; Donahue 2017, §4.2, for E and the joint form.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from anomaly.config import NetworkPlan, Prior
from anomaly.config.layers import hidden_names
from anomaly.networks.judgement import Judgement


def hidden_layer(in_units: int, out_units: int, *, leak: float, dropout: float = 0.0) -> nn.Sequential:
    """(b, in) → (b, out); LeakyReLU, or ReLU where `leak` is 0."""
    drop = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.Linear(in_units, out_units), nn.LeakyReLU(leak) if leak else nn.ReLU(), *drop)


def _num_pixels(plan: NetworkPlan) -> int:
    return plan.channels * plan.size**2


class MLPGenerator(nn.Module):
    """D's layers backwards, then tanh."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        units = [plan.latent_dim, *plan.hidden[::-1]]
        self.hidden = nn.Sequential(*(hidden_layer(a, b, leak=plan.leak) for a, b in pairwise(units)))
        self.to_image = nn.Sequential(
            nn.Linear(units[-1], _num_pixels(plan)),
            nn.Tanh(),
            nn.Unflatten(1, (plan.channels, plan.size, plan.size)),
        )

    def forward(self, z: Tensor) -> Tensor:
        """X = G(z)."""
        x: Tensor = self.to_image(self.hidden(z))
        return x


class MLPEncoder(nn.Module):
    """The mirror of the generator; bounded by tanh where the prior is uniform."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        units = [_num_pixels(plan), *plan.hidden]
        self.hidden = nn.Sequential(nn.Flatten(), *(hidden_layer(a, b, leak=plan.leak) for a, b in pairwise(units)))
        bound = [nn.Tanh()] if plan.prior is Prior.UNIFORM else []
        self.to_latent = nn.Sequential(nn.Linear(units[-1], plan.latent_dim), *bound)

    def forward(self, x: Tensor) -> Tensor:
        """z_hat = E(x)."""
        z: Tensor = self.to_latent(self.hidden(x))
        return z


class MLPDiscriminator(nn.Module):
    """Judges inputs of `num_inputs` numbers (an image, two images or two latents), with a latent if it is joint."""

    def __init__(self, plan: NetworkPlan, num_inputs: int, *, joint: bool = False) -> None:
        super().__init__()
        self.joint = joint
        units = [num_inputs + (plan.latent_dim if joint else 0), *plan.hidden]
        self.hidden = nn.ModuleDict(
            {
                name: hidden_layer(a, b, leak=plan.leak, dropout=plan.dropout)
                for name, (a, b) in zip(hidden_names(plan), pairwise(units), strict=True)
            }
        )
        self.to_logit = nn.Linear(units[-1], 1)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Judgement:
        """D(x), or D(x, z) for a joint discriminator, flattened, one after the other."""
        h = x.flatten(1)
        if self.joint:
            assert z is not None, "a joint discriminator judges pairs (x, z)"
            h = torch.cat([h, z.to(h.dtype)], dim=1)
        features: dict[str, Tensor] = {}
        for name, layer in self.hidden.items():
            h = features[name] = layer(h)
        return Judgement(self.to_logit(h).squeeze(1), features)


def image_discriminator(plan: NetworkPlan, *, images: int = 1) -> MLPDiscriminator:
    """D(x) or, for a joint one, D(x, z); with `images` of 2, D_xx of two images, channels one after the other."""
    return MLPDiscriminator(plan, images * _num_pixels(plan), joint=plan.joint and images == 1)


def latent_discriminator(plan: NetworkPlan) -> MLPDiscriminator:
    """D_zz of two latents. Its layers are small, and leak: those of ALAD's (Zenati 2018b, table of architectures)."""
    small = plan.model_copy(update={"hidden": (64, 32), "leak": 0.2})
    return MLPDiscriminator(small, 2 * plan.latent_dim)
