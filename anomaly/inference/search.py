"""AnoGAN's latent search: find the z whose image G(z) is closest to x, for all images of a batch at once.

Shapes: x (n, c, size, size) in [-1, 1]; z (n, restarts, latent_dim).
Source: Schlegl et al. 2017, §2.2: z by gradient descent on A(x; z) = (1 − λ)·R(x) + λ·F(x), G and D frozen.

The search runs in a fixed number of slots, each with one image's one start, its own Adam moments and its own clock.
A slot whose image has converged takes the next. So the networks always see the same batch shape, and no image's
result depends on how many others are searched beside it: the batch is an implementation detail (law 2).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from anomaly.config import SearchConfig

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # Kingma and Ba 2015

Objective = Callable[[Tensor, Tensor], Tensor]
"""A(x; z) of jobs: indices (slots,) of images and their z (slots, latent_dim) → losses (slots,)."""


@dataclass
class _Slots:
    """One search in each slot. `job` is image·restarts + restart, or −1 for an empty slot, whose result is not used."""

    job: Tensor
    z: Tensor
    first_moment: Tensor
    second_moment: Tensor
    step: Tensor
    best_z: Tensor
    best_loss: Tensor
    mark_loss: Tensor

    def fill(self, slots: Tensor, jobs: Tensor, starts: Tensor) -> None:
        """Begin `jobs` in `slots` at `starts`."""
        self.job[slots] = jobs
        self.z[slots] = starts
        self.first_moment[slots] = 0.0
        self.second_moment[slots] = 0.0
        self.step[slots] = 0
        self.best_z[slots] = starts
        self.best_loss[slots] = math.inf
        self.mark_loss[slots] = math.inf


def search_latents(loss: Objective, starts: Tensor, config: SearchConfig, *, num_slots: int) -> tuple[Tensor, Tensor]:
    """The best z_hat (n, latent_dim) of each image over its starts (n, restarts, latent_dim), and its loss (n,)."""
    num_images, restarts, latent_dim = starts.shape
    starts = starts.reshape(-1, latent_dim)
    final_z, final_loss = torch.empty_like(starts), torch.full((len(starts),), math.inf, device=starts.device)
    slots = _empty_slots(num_slots, starts)
    next_job = 0
    while True:
        free = torch.nonzero(slots.job < 0).squeeze(1)[: len(starts) - next_job]
        if len(free):
            jobs = torch.arange(next_job, next_job + len(free), device=starts.device)
            slots.fill(free, jobs, starts[jobs])
            next_job += len(free)
        if not (slots.job >= 0).any():
            break
        _descend(slots, loss, restarts, config)
        done = torch.nonzero((slots.job >= 0) & _finished(slots, config)).squeeze(1)
        final_z[slots.job[done]] = slots.best_z[done]
        final_loss[slots.job[done]] = slots.best_loss[done]
        slots.job[done] = -1
    best = final_loss.view(num_images, restarts).min(dim=1)
    chosen = torch.arange(num_images, device=starts.device) * restarts + best.indices
    return final_z[chosen], best.values


def _empty_slots(num_slots: int, like: Tensor) -> _Slots:
    z = torch.zeros(num_slots, like.shape[1], device=like.device)
    number = torch.zeros(num_slots, device=like.device)
    return _Slots(
        job=torch.full((num_slots,), -1, device=like.device),
        z=z.clone(),
        first_moment=z.clone(),
        second_moment=z.clone(),
        step=number.clone(),
        best_z=z.clone(),
        best_loss=number + math.inf,
        mark_loss=number + math.inf,
    )


def _descend(slots: _Slots, loss: Objective, restarts: int, config: SearchConfig) -> None:
    """One Adam step of every slot. The rate falls to zero as a half cosine, so that each search converges."""
    z = slots.z.requires_grad_(True)
    with torch.enable_grad():
        losses = loss(slots.job.clamp(min=0) // restarts, z)
        (gradient,) = torch.autograd.grad(losses.sum(), z)  # losses do not depend on other slots' z
    losses, slots.z = losses.detach(), z.detach()
    better = losses < slots.best_loss
    slots.best_z = torch.where(better[:, None], slots.z, slots.best_z)
    slots.best_loss = torch.where(better, losses, slots.best_loss)

    slots.step += 1
    slots.first_moment.lerp_(gradient, 1 - BETA1)
    slots.second_moment.lerp_(gradient.square(), 1 - BETA2)
    t = slots.step[:, None]
    m_hat = slots.first_moment / (1 - BETA1**t)
    v_hat = slots.second_moment / (1 - BETA2**t)
    rate = config.learning_rate * 0.5 * (1 + torch.cos(math.pi * (t - 1) / config.steps))
    slots.z = slots.z - rate * m_hat / (v_hat.sqrt() + EPS)


def _finished(slots: _Slots, config: SearchConfig) -> Tensor:
    """Out of steps, or not better by `tolerance` than `patience` steps before."""
    due = slots.step % config.patience == 0
    stalled = due & (slots.best_loss > (1 - config.tolerance) * slots.mark_loss)
    slots.mark_loss = torch.where(due, slots.best_loss, slots.mark_loss)
    return stalled | (slots.step >= config.steps)
