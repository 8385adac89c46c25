"""Drawing latents from the prior, and going from one to another."""

import torch
from torch import Tensor

from anomaly.config import Prior


def draw(prior: Prior, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Latents of a shape whose last dimension is latent_dim, on the CPU."""
    match prior:
        case Prior.GAUSSIAN:
            return torch.randn(shape, generator=generator)
        case Prior.UNIFORM:
            return torch.rand(shape, generator=generator) * 2 - 1


def interpolate(prior: Prior, start: Tensor, end: Tensor, num_steps: int) -> Tensor:
    """From `start` to `end`, both (…, latent_dim) and exactly met: (…, num_steps, latent_dim).

    Gaussian latents lie near a sphere, so the way between two of them follows it (slerp; White 2016, eq. 1). On a
    straight line the norms would be small, where the prior has almost no latents. Uniform latents fill a cube, and
    straight lines stay inside it.
    """
    share = torch.linspace(0, 1, num_steps, dtype=torch.float64)[:, None]
    a, b = start.double()[..., None, :], end.double()[..., None, :]
    straight = (1 - share) * a + share * b
    if prior is Prior.UNIFORM:
        return straight.to(start.dtype)
    angle = torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1).acos()[..., None]
    round_ = (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)
    return torch.where(torch.sin(angle).abs() > 1e-6, round_, straight).to(start.dtype)
