"""One training step of an auxiliary discriminator, and what it does once after training."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.config import NetworkPlan, TrainingConfig
from anomaly.networks import Auxiliary, Batches, Networks
from anomaly.runtime import autocast, to_float
from anomaly.training.curves import Curves
from anomaly.training.optimizers import descend
from anomaly.training.ranks import ALONE, Ranks
from anomaly.training.spacing import evenly_spaced

_BATCH_SIZE = 16  # images at a time: all at once may be more than a device holds


def auxiliary_step(
    auxiliary: Auxiliary,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    config: TrainingConfig,
    step: int,
    ranks: Ranks = ALONE,
) -> Curves:
    """One step on images x (b, c, size, size), which are those of all ranks: each learns from its own examples."""
    auxiliary.train().requires_grad_(True)
    with autocast(x.device, config.precision):
        images, targets = auxiliary.examples(x, seed=config.seed, step=step)
        loss = _share_of_mean(auxiliary.loss(ranks.own(images), ranks.own(targets)), len(images), ranks)
    grad = descend(optimizer, loss, ranks)
    return {f"loss_{auxiliary.name}": loss.detach(), f"grad_{auxiliary.name}": grad}


def settle(
    networks: Networks,
    plan: NetworkPlan,
    pixels: NDArray[np.uint8],
    train: NDArray[np.int64],
    select: NDArray[np.int64],
    device: torch.device,
) -> None:
    """Settle each auxiliary with *train* and *select* rows of images (n, c, size, size); `plan` is the final one."""
    for auxiliary in networks.all_auxiliaries():
        auxiliary.settle(plan, in_batches(pixels, train, device), in_batches(pixels, select, device))
    networks.plan = plan


def _share_of_mean(own_mean: Tensor, num: int, ranks: Ranks) -> Tensor:
    """Their mean over ranks is the mean over all `num` examples, also where some ranks have one more, or none."""
    num_own = len(range(ranks.rank, num, ranks.size))
    if num_own * ranks.size == num:
        return own_mean
    return (own_mean if num_own else own_mean.nan_to_num()) * (num_own * ranks.size / num)


def in_batches(pixels: NDArray[np.uint8], rows: NDArray[np.int64], device: torch.device) -> Batches:
    """Reads the `rows` of images (n, c, size, size), a few at a time; at most so many, spread over all of them."""

    def read(at_most: int | None) -> Iterator[Tensor]:
        chosen = rows if at_most is None else rows[evenly_spaced(len(rows), at_most)]
        for batch in np.array_split(chosen, range(_BATCH_SIZE, len(chosen), _BATCH_SIZE)):
            yield to_float(torch.from_numpy(pixels[batch]).to(device))

    return read
