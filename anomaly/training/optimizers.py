"""Optimisers, and one step of them."""

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from anomaly.config import TrainingConfig
from anomaly.networks import Auxiliary
from anomaly.training.ranks import ALONE, Ranks

AUXILIARY_RATE = 1e-3  # Adam's, for auxiliary discriminators


def game_optimizer(parameters: list[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser that the configuration names."""
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, lr=config.learning_rate, betas=(config.beta1, config.beta2))
        case "sgd":
            return torch.optim.SGD(parameters, lr=config.learning_rate, momentum=config.momentum)


def auxiliary_optimizer(auxiliary: Auxiliary) -> torch.optim.Optimizer:
    """Adam, of the auxiliary's discriminator."""
    return torch.optim.Adam(auxiliary.discriminator.parameters(), lr=AUXILIARY_RATE, betas=(0.5, 0.999))


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """One step down the mean of all ranks' losses; the gradient's norm. All gradients of training pass here."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    ranks.average_(gradients)
    optimizer.step()
    return get_total_norm(gradients)
