"""The steps of a training, the same for every method and on every rank.

Step t draws its images and its z from (seed, t) alone, so a run that is killed and resumed ends in the same weights as
one that was not. Of each batch every rank has its own rows.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.config import Method, TrainingConfig
from anomaly.networks import draw
from anomaly.runtime import seed_of, seeded_rng, to_float
from anomaly.torch_settings import own_draws
from anomaly.training.augmentation import augment
from anomaly.training.auxiliary import auxiliary_step
from anomaly.training.curves import REPORT_EVERY, Curves, HistoryRow, to_rows
from anomaly.training.ranks import all_tensors
from anomaly.training.state import TrainingState, encoder_from
from anomaly.training.steps import autoencoder_step, encoder_step, game_step


def run_steps(
    state: TrainingState,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    config: TrainingConfig,
    *,
    report: Callable[[list[HistoryRow]], bool] = lambda new: False,
    save: Callable[[bool], None] = lambda done: None,
) -> None:
    """Move the state on to the last step, or to where rank 0 stops.

    Every 10 steps rank 0 calls `report(new rows of the curves)`, which says whether to stop, and `save(done)`.

    Raises:
        DivergedError: a loss is not finite any more; on all ranks.
    """
    ranks, networks = state.ranks, state.networks
    ranks.broadcast_(all_tensors(networks))
    num_batches = config.d_steps + config.g_steps - 1
    batches = _batches(len(rows), config, start=state.step * num_batches)
    device = next(networks.parameters()).device
    shares_all = ranks.size > 1 and networks.all_auxiliaries()

    def read(batch: NDArray[np.int64]) -> Tensor:
        return to_float(torch.from_numpy(pixels[rows[batch]]).to(device))

    recent: list[Curves] = []
    with own_draws(device):
        while state.step < (last := _last_step(state, config)):
            drawn = [next(batches) for _ in range(num_batches)]
            x = [read(ranks.own(batch)) for batch in drawn]
            recent.append(_step(state, x, config, read(drawn[-1]) if shares_all else x[-1]))
            state.step += 1
            ranks.broadcast_([buffer for buffer in networks.buffers() if buffer.is_floating_point()])
            if ranks.leads:
                state.update_ema(config.ema_decay)
            if state.step % REPORT_EVERY and state.step not in (last, state.encoder_from):
                continue
            new = to_rows(recent, state.step, ranks)
            recent.clear()
            stop = ranks.decide(report, new)
            if stop and state.encoder_from is not None and state.step < state.encoder_from:
                state.encoder_from, stop = state.step, False
            ranks.decide(save, stop or state.step == _last_step(state, config))
            if stop:
                break


def _last_step(state: TrainingState, config: TrainingConfig) -> int:
    """The configured steps; fewer where the game was cut short: its encoder then has half as many as the game had."""
    if state.encoder_from is None or state.encoder_from == encoder_from(config):
        return config.steps
    return min(config.steps, state.encoder_from + max(state.encoder_from // 2, 1))


def _step(state: TrainingState, batches: list[Tensor], config: TrainingConfig, last_of_all: Tensor) -> Curves:
    """Auxiliary discriminators get images as they are: moved ones are blurred by interpolation, scored ones are not.

    `batches` are this rank's rows, `last_of_all` those of all ranks in the last batch.
    """
    moved = batches
    if config.augment:
        rngs = [seeded_rng("augment", config.seed, state.step, number) for number in range(len(batches))]
        moved = [augment(batch, rng, state.ranks) for batch, rng in zip(batches, rngs, strict=True)]
    curves = _main_step(state, moved, config)
    for auxiliary in state.networks.all_auxiliaries():
        optimizer = state.optimizers_auxiliary[auxiliary.name]
        curves |= auxiliary_step(auxiliary, optimizer, last_of_all, config, state.step, state.ranks)
    return curves


def _main_step(state: TrainingState, batches: list[Tensor], config: TrainingConfig) -> Curves:
    torch.manual_seed(seed_of("step", config.seed, state.step))  # for dropout and the gradient penalty
    x = batches[-1]
    if config.method is Method.AUTOENCODER:
        return autoencoder_step(state, x, config)
    if state.encoder_from is not None and state.step >= state.encoder_from:
        if state.step == state.encoder_from:
            state.networks.load_state_dict(state.ema.state_dict())
            state.ranks.broadcast_(all_tensors(state.networks))  # rank 0 alone has the averages
        return encoder_step(state, x, config)
    plan = state.networks.plan
    shape = (len(batches) * state.ranks.size * len(x), plan.latent_dim)
    z = draw(plan.prior, shape, seeded_rng("latents", config.seed, state.step)).to(x.device)
    return game_step(state, list(zip(batches, map(state.ranks.own, z.chunk(len(batches))), strict=True)), config)


def _batches(n: int, config: TrainingConfig, *, start: int) -> Iterator[NDArray[np.int64]]:
    """Index batches, endless, beginning with that of step `start`: one shuffle of all images after another."""
    epoch, position = divmod(start * config.batch_size, n)
    order = _shuffle(n, config.seed, epoch)[position:]
    while True:
        while len(order) < config.batch_size:
            epoch += 1
            order = np.concatenate([order, _shuffle(n, config.seed, epoch)])
        batch, order = order[: config.batch_size], order[config.batch_size :]
        yield np.sort(batch)


def _shuffle(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    order: NDArray[np.int64] = torch.randperm(n, generator=seeded_rng("epoch", seed, epoch)).numpy()
    return order
