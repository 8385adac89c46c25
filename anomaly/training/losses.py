"""The losses of the two games, on logits (b,), high for real.

With D = sigmoid(logit): −log D = softplus(−logit) and −log(1 − D) = softplus(logit), which stay finite where the
logarithm of a rounded sigmoid would not. G plays the non-saturating form (Goodfellow 2014, §3).
"""

from torch import Tensor
from torch.nn.functional import softplus


def discriminator_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """−E log D(real) − E log(1 − D(fake)): what D minimises (Goodfellow 2014, eq. 1)."""
    return softplus(-logits_real).mean() + softplus(logits_fake).mean()


def generator_loss(logits_fake: Tensor) -> Tensor:
    """−E log D(G(z)): what G minimises."""
    return softplus(-logits_fake).mean()


def encoder_loss(logits_real: Tensor) -> Tensor:
    """−E log(1 − D(x, E(x))): what E minimises in the BiGAN game (Donahue 2017, §3.4, "inverse" objective)."""
    return softplus(logits_real).mean()


def cycle_x_loss(x: Tensor, x_cycle: Tensor) -> Tensor:
    """Mean |x − G(E(x))| over images and pixels."""
    return (x - x_cycle).abs().mean()


def cycle_z_loss(z: Tensor, z_cycle: Tensor) -> Tensor:
    """Mean (z − E(G(z)))² over latents and their dimensions."""
    return (z - z_cycle).square().mean()
