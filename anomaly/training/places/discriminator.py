"""D_patch learns to tell normal places from negatives: normal ones that were moved, and places of spoilt images.

Shapes: places (n, dimensions), whitened.
Source: Liu 2023 (SimpleNet), §3.3 (Gaussian negatives of features); Chen 2024 (GLASS), §3.3 (gradient ascent within a
shell).
"""

from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from anomaly.config import TrainingConfig
from anomaly.errors import TrainingError
from anomaly.networks.place_discriminator import PlaceDiscriminator
from anomaly.torch_settings import own_draws
from anomaly.training.curves import HistoryRow
from anomaly.training.places.steps import StepWatch, take_steps
from anomaly.training.ranks import Ranks, all_tensors

_ASCENT, _ASCENT_SHARE = 1, 0.3  # steps of a negative towards what D takes for normal, and their length in its radius
_SHELL = (0.5, 2.0)  # of its radius: how near to a normal place negatives may come, and how far from it


def train_discriminator(
    whitened: Tensor,
    spoilt_places: Tensor,
    sigma: float,
    spoilt: float,
    training: TrainingConfig,
    watch: StepWatch = StepWatch(),
) -> tuple[PlaceDiscriminator, list[HistoryRow]]:
    """D_patch, trained by normal places and as many negatives, of which the share `spoilt` is from `spoilt_places`.

    Where there are several `ranks`, rank 0 calls this, and the others `follow_discriminator`. All draw the same; each
    has its own rows of the normal places, of the moved ones, and of those drawn from `spoilt_places`.
    """
    ranks = watch.ranks
    if ranks.leads:
        task = {"sigma": sigma, "spoilt": spoilt, "training": training.model_dump(mode="json")}
        ranks.tell({"train_discriminator": task | {"shapes": [whitened.shape, spoilt_places.shape]}})
    ranks.broadcast_([whitened, spoilt_places])
    with own_draws(whitened.device):
        torch.manual_seed(training.seed)
        D = PlaceDiscriminator(whitened.shape[1])
        ranks.broadcast_(all_tensors(D))
        optimizer = torch.optim.AdamW(D.parameters(), lr=training.learning_rate)
        num, num_spoilt = training.batch_size, round(spoilt * training.batch_size) if len(spoilt_places) else 0

        def draw_loss() -> Tensor:
            normal = whitened[torch.randint(len(whitened), (num,))]
            negatives = _negatives(D, normal[num_spoilt:], sigma, ranks) if num_spoilt < num else normal[:0]
            drawn = spoilt_places[torch.randint(len(spoilt_places), (num_spoilt,))] if num_spoilt else normal[:0]
            own = ranks.own(normal)
            logits = _logits(D, torch.cat([own, negatives, ranks.own(drawn)]))
            return ranks.size / num * (softplus(-logits[: len(own)]).sum() + softplus(logits[len(own) :]).sum())

        history = take_steps(draw_loss, optimizer, training.steps, watch, player="d")
    return D.eval(), history


def follow_discriminator(task: dict[str, Any], ranks: Ranks) -> None:
    """What another rank than 0 does of `train_discriminator`, which has told this task."""
    whitened, spoilt_places = (torch.empty(*shape) for shape in task["shapes"])
    training = TrainingConfig.model_validate(task["training"])
    with suppress(TrainingError):  # rank 0 tells it
        train_discriminator(whitened, spoilt_places, task["sigma"], task["spoilt"], training, StepWatch(ranks=ranks))


def _negatives(D: PlaceDiscriminator, normal: Tensor, sigma: float, ranks: Ranks) -> Tensor:
    """This rank's normal places moved by noise, then towards what D takes for normal, but not into them nor far."""
    radius = sigma * normal.shape[1] ** 0.5
    moved, normal = ranks.own(sigma * torch.randn_like(normal)), ranks.own(normal)
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
