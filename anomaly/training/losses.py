"""The losses of the games, on D's outputs (b,), high for real.

With D = sigmoid(logit): −log D = softplus(−logit) and −log(1 − D) = softplus(logit), which stay finite where the
logarithm of a rounded sigmoid would not. A critic's output is taken as it is.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from anomaly.config import Loss
from anomaly.runtime import widened
from anomaly.training.ranks import ALONE, Ranks


def discriminator_loss(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    """What D minimises.

    −E log D(real) − E log(1 − D(fake)) (Goodfellow 2014, eq. 1); E D(fake) − E D(real) (Arjovsky 2017, eq. 2);
    E max(0, 1 − D(real)) + E max(0, 1 + D(fake)) (Lim and Ye 2017; Miyato 2018, eq. 16).
    """
    match loss:
        case Loss.MINIMAX | Loss.NON_SATURATING:
            return softplus(-real).mean() + softplus(fake).mean()
        case Loss.WASSERSTEIN:
            return fake.mean() - real.mean()
        case Loss.HINGE:
            return relu(1 - real).mean() + relu(1 + fake).mean()


def generator_loss(loss: Loss, fake: Tensor) -> Tensor:
    """What G minimises.

    Minimax: E log(1 − D(G(z))); non-saturating: −E log D(G(z)) (Goodfellow 2014, §3); of a critic: −E D(G(z)).
    """
    match loss:
        case Loss.MINIMAX:
            return -softplus(fake).mean()
        case Loss.NON_SATURATING:
            return softplus(-fake).mean()
        case Loss.WASSERSTEIN | Loss.HINGE:
            return -fake.mean()


def encoder_loss(loss: Loss, real: Tensor) -> Tensor:
    """What E minimises on D(x, E(x)): G's loss with real and fake exchanged (Donahue 2017, §3.4)."""
    return generator_loss(loss, -real)


def value(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    """V(D, G), what D maximises: E log D(x) + E log(1 − D(G(z))), at most 0; of a critic E D(x) − E D(G(z))."""
    if loss.has_critic:
        return real.mean() - fake.mean()
    return -softplus(-real).mean() - softplus(fake).mean()


def gradient_penalty(
    judge: Callable[..., Tensor], real: Sequence[Tensor], fake: Sequence[Tensor], ranks: Ranks = ALONE
) -> Tensor:
    """E (‖∇ D‖ − 1)² between reals and fakes (Gulrajani 2017, eq. 3), the gradient by all of D's inputs together."""
    weight = ranks.own(torch.rand(ranks.size * len(real[0]), device=real[0].device))
    between = [
        torch.lerp(widened(a), widened(b), weight.view(-1, *[1] * (a.dim() - 1))).requires_grad_()
        for a, b in zip(real, fake, strict=True)
    ]
    slopes = torch.autograd.grad(judge(*between).sum(), between, create_graph=True)
    norm = torch.cat([slope.flatten(1) for slope in slopes], dim=1).norm(dim=1)
    penalty: Tensor = (norm - 1).square().mean()
    return penalty


def cycle_x_loss(x: Tensor, x_cycle: Tensor) -> Tensor:
    """Mean |x − G(E(x))| over images and pixels."""
    return (x - x_cycle).abs().mean()


def cycle_z_loss(z: Tensor, z_cycle: Tensor) -> Tensor:
    """Mean (z − E(G(z)))² over latents and their dimensions."""
    return (z - z_cycle).square().mean()
