"""The evidence that an image is abnormal: one number for each image and term, higher is more anomalous.

Shapes: x, x_hat (b, c, h, w) in [-1, 1]; z_hat (b, latent_dim); features f (b, channels, height, width) or (b, units);
logits (b,); terms (b,).
Terms are sums, as AnoGAN (Schlegl 2017, §2.2) writes them, in single precision whatever the features' is.
"""

from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import avg_pool2d, softplus

RESIDUAL_SCALES = {"residual": 1, "residual_half": 2, "residual_quarter": 4}


def residual(x: Tensor, x_hat: Tensor, *, scale: int = 1) -> Tensor:
    """R(x) = Σ |x − x_hat|; at a coarser scale, of the differences' means over `scale` × `scale` pixels."""
    difference = x - x_hat
    if scale > 1:
        difference = avg_pool2d(difference, scale)
    return difference.abs_().sum(dim=(1, 2, 3))


def feature_matching(f: Tensor, f_hat: Tensor) -> Tensor:
    """F(x) = Σ |f(x) − f(G(z))|, f the features of an intermediate layer of D."""
    return (f.float() - f_hat.float()).abs_().flatten(1).sum(dim=1)


def cross_entropy(logits: Tensor) -> Tensor:
    """−log D, of G(z) or of the pair (x, E(x)) (Yeh 2016; Zenati 2018)."""
    return softplus(-logits)


def saturating(logits: Tensor) -> Tensor:
    """log(1 − D(G(z))), the other published form of the discriminator's loss (Yeh 2016, eq. 4)."""
    return -softplus(logits)


def critic(outputs: Tensor) -> Tensor:
    """−D of a critic, whose output is no logit."""
    return -outputs


def latent_norm(z_hat: Tensor) -> Tensor:
    """‖z_hat‖²: how far from the centre of the prior the latent lies."""
    return z_hat.square().sum(dim=1)


def izi_f(x: Tensor, x_hat: Tensor, f: Tensor, f_hat: Tensor) -> Tensor:
    """‖x − x_hat‖²/n + κ·‖f(x) − f(x_hat)‖²/n_f with κ = 1 (f-AnoGAN: Schlegl 2019, eq. 4)."""
    return _mean_square(x - x_hat) + _mean_square(f.float() - f_hat.float())


def _mean_square(difference: Tensor) -> Tensor:
    return difference.square_().flatten(1).mean(dim=1)


def anomaly_score(residual: Tensor, discrimination: Tensor, weight: float) -> Tensor:
    """A(x) = (1 − λ)·R(x) + λ·F(x) (AnoGAN, §2.3); in AnoGAN's first form with a loss of D's in F's place.

    The search minimises the same (§2.2).
    """
    return (1.0 - weight) * residual + weight * discrimination


def reconstruction_terms(
    x: Tensor,
    x_hat: Tensor,
    features: Mapping[str, Tensor],
    features_hat: Mapping[str, Tensor],
    *,
    feature_layer: str | None,
) -> dict[str, Tensor]:
    """How far a reconstruction is from its image: the residual at each scale, and the features of each layer.

    `feature_matching` is that of `feature_layer`; other layers carry their names.
    """
    terms = {name: residual(x, x_hat, scale=scale) for name, scale in RESIDUAL_SCALES.items() if scale <= x.shape[-1]}
    for layer, f in features.items():
        name = "feature_matching" if layer == feature_layer else f"feature_matching_{layer}"
        terms[name] = feature_matching(f, features_hat[layer])
    return terms
