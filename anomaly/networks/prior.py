"""Where latents come from."""

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
