"""D_patch learns to tell normal places from negatives: normal ones that were moved, and places of spoilt images.

Shapes: places (n, dimensions), whitened.
Source: Liu 2023 (SimpleNet), §3.4 (Gaussian negatives of features); Chen 2024 (GLASS), §3.3 (gradient ascent within a
shell).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from anomaly.config import TrainingConfig
from anomaly.networks.places import PlaceDiscriminator
from anomaly.training.curves import Curves, HistoryRow, means, to_rows
from anomaly.training.optimizers import descend

REPORT_EVERY = 10
_ASCENT, _ASCENT_SHARE = 1, 0.3  # steps of a negative towards what D takes for normal, and their length in its radius
_SHELL = (0.5, 2.0)  # of its radius: how near to a normal place a negative may come, and how far from it


def teach(
    whitened: Tensor,
    wrong: Tensor,
    sigma: float,
    spoilt: float,
    training: TrainingConfig,
    *,
    should_stop: Callable[[int, HistoryRow], bool],
) -> tuple[PlaceDiscriminator, list[HistoryRow]]:
    """D_patch, taught by normal places and as many negatives, of which the share `spoilt` is from `wrong`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        D = PlaceDiscriminator(whitened.shape[1])
        optimizer = torch.optim.AdamW(D.parameters(), lr=training.learning_rate)
        num, num_spoilt = training.batch_size, round(spoilt * training.batch_size) if len(wrong) else 0
        history: list[HistoryRow] = []
        recent: list[Curves] = []
        for step in range(1, training.steps + 1):
            normal = whitened[torch.randint(len(whitened), (num,))]
            negatives = _negatives(D, normal[num_spoilt:], sigma) if num_spoilt < num else normal[:0]
            drawn = wrong[torch.randint(len(wrong), (num_spoilt,))] if num_spoilt else normal[:0]
            logits = _logits(D, torch.cat([normal, negatives, drawn]))
            loss = softplus(-logits[:num]).mean() + softplus(logits[num:]).mean()
            recent.append({"loss_d": loss.detach(), "grad_d": descend(optimizer, loss)})
            if step % REPORT_EVERY and step != training.steps:
                continue
            history += (new := to_rows(recent, step))
            recent.clear()
            if should_stop(step, means(new)):
                break
    return D.eval(), history


def _negatives(D: PlaceDiscriminator, normal: Tensor, sigma: float) -> Tensor:
    """Normal places moved by noise, then towards what D takes for normal, but never into them nor far away."""
    radius = sigma * normal.shape[1] ** 0.5
    moved = sigma * torch.randn_like(normal)
    for _ in range(_ASCENT):
        at = (normal + moved).requires_grad_(True)
        (gradient,) = torch.autograd.grad(softplus(_logits(D, at)).sum(), at)
        moved = moved + _ASCENT_SHARE * radius * gradient / gradient.norm(dim=1, keepdim=True).clamp_min(1e-12)
        length = moved.norm(dim=1, keepdim=True).clamp_min(1e-12)
        moved = moved * length.clamp(_SHELL[0] * radius, _SHELL[1] * radius) / length
    return (normal + moved).detach()


def _logits(D: PlaceDiscriminator, places: Tensor) -> Tensor:
    """Of places (n, dimensions): (n,)."""
    logits: Tensor = D(places.T[None, :, :, None])
    return logits.flatten()
