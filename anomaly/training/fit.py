"""The training loop, the same for every game.

Step t draws its images and its z from (seed, t) alone, so a run that is killed and resumed ends in the same weights as
one that was not. The loop is told when to stop by a callback.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.config import Method, NetworkConfig, TrainingConfig
from anomaly.errors import DivergedError
from anomaly.networks import Networks, draw
from anomaly.runtime import generator, seed_of, to_float
from anomaly.training.augmentation import augment
from anomaly.training.criterion import stop_criterion
from anomaly.training.patches import patch_step
from anomaly.training.state import (
    HistoryRow,
    TrainingState,
    encoder_from,
    load_checkpoint,
    new_state,
    save_checkpoint,
)
from anomaly.training.steps import Curves, autoencoder_step, encoder_step, game_step
from anomaly.training.turns import turn_step

REPORT_EVERY = 10
JUDGE_EVERY = 100
MAX_JUDGED = 512  # images
CHECKPOINT_EVERY_S = 60.0


@dataclass(frozen=True)
class Trained:
    """The averaged networks in evaluation mode, the curves (a row a step), the steps done, and the step kept."""

    networks: Networks
    history: list[HistoryRow]
    num_steps: int
    kept_step: int

    @property
    def last(self) -> HistoryRow:
        """The means of the curves over the last 10 steps."""
        return _means(self.history[-REPORT_EVERY:])


@dataclass(frozen=True)
class Checkpoint:
    """Where the run keeps its state, and whether to go on from there. `data` is the images' fingerprint."""

    path: Path
    data: str
    resume: bool = False
    every_s: float = CHECKPOINT_EVERY_S


def fit(
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    network: NetworkConfig,
    config: TrainingConfig,
    *,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    decoder: Mapping[str, Tensor] | None = None,
    select: NDArray[np.int64] | None = None,
    should_stop: Callable[[int, HistoryRow], bool] = lambda step, row: False,
    on_rows: Callable[[Sequence[HistoryRow]], object] = lambda rows: None,
) -> Trained:
    """Train on the `rows` of 8-bit images (n, c, size, size), which may be memory-mapped; G from a `decoder`'s weights.

    `should_stop(step, row)` is called every 10 steps with the means of the curves since the last call: of a game
    `value` = V(D, G), `d_real` = mean D(x), `d_fake` = mean D(G(z)), D's `accuracy`, the `diversity` of G's samples,
    the losses `loss_d` and `loss_g`, the cycle terms, and the norms of the gradients, `grad_d` and `grad_g`. Where an
    encoder follows the game (f-AnoGAN), the first yes ends the game only, and half its steps go to the encoder.

    With `select`, the rows of other normal images, every 100th row of the curves has the stop `criterion` on them, and
    `config.keep` may ask for the networks that had the best.

    `on_rows(rows)` gets every row of the curves once and in order, those of a resumed run's earlier part first.

    Raises:
        DivergedError: a loss or a weight is not finite any more.
        CheckpointError: resuming was asked for and is not possible.
    """
    state = new_state(network, config, device, decoder=decoder)
    run = _run_id(network, config, checkpoint.data, decoder) if checkpoint else ""
    if checkpoint and checkpoint.resume:
        load_checkpoint(state, checkpoint.path, run=run)
        on_rows(state.history)
    saved_at = time.monotonic()
    num_batches = config.d_steps + config.g_steps - 1
    batches = _batches(len(rows), config, start=state.step * num_batches)
    judge = _judge_by(pixels, select, network, config, device)
    recent: list[Curves] = []
    with torch.random.fork_rng(devices=[]):
        while state.step < (last := _last_step(state, config)):
            x = [to_float(torch.from_numpy(pixels[rows[next(batches)]]).to(device)) for _ in range(num_batches)]
            recent.append(_step(state, x, config))
            state.step += 1
            state.update_ema(config.ema_decay)
            if state.step % REPORT_EVERY and state.step not in (last, state.encoder_from):
                continue
            state.history += _rows(recent, state.step)
            if state.step % JUDGE_EVERY == 0:
                state.history[-1] |= judge(state)
            new = state.history[-len(recent) :]
            recent.clear()
            on_rows(new)
            row = _means(new)
            stop = should_stop(state.step, row)
            if stop and state.encoder_from is not None and state.step < state.encoder_from:
                state.encoder_from, stop = state.step, False
            done = stop or state.step == _last_step(state, config)
            if checkpoint and (done or time.monotonic() - saved_at >= checkpoint.every_s):
                save_checkpoint(state, checkpoint.path, run=run)
                saved_at = time.monotonic()
            if stop:
                break
    networks = state.result()
    broken = [name for name, weight in networks.state_dict().items() if not weight.isfinite().all()]
    if broken:  # by the last step, whose losses no later one shows
        raise _diverged(broken, state.step)
    return Trained(networks, state.history, state.step, state.step if state.best is None else state.best.step)


def _judge_by(
    pixels: NDArray[np.uint8],
    select: NDArray[np.int64] | None,
    network: NetworkConfig,
    config: TrainingConfig,
    device: torch.device,
) -> Callable[[TrainingState], HistoryRow]:
    """What the stop criterion says of a state, as a piece of a row; nothing without images, or before E is learnt."""
    if select is None or not len(select):
        return lambda state: {}
    chosen = np.sort(select[:MAX_JUDGED])
    z = draw(network.prior, (len(chosen), network.latent_dim), generator("criterion", config.seed)).to(device)

    def judge(state: TrainingState) -> HistoryRow:
        if state.encoder_from is not None and state.step <= state.encoder_from:
            return {}
        x = to_float(torch.from_numpy(pixels[chosen]).to(device))
        criterion = float(f"{stop_criterion(state.ema, x, z):.6g}")
        if config.keep == "best":
            state.compare(criterion)
        return {"criterion": criterion}

    return judge


def _last_step(state: TrainingState, config: TrainingConfig) -> int:
    """The steps asked for; fewer where a game cut short leaves its encoder half as many as it had."""
    if state.encoder_from is None or state.encoder_from == encoder_from(config):
        return config.steps
    return min(config.steps, state.encoder_from + max(state.encoder_from // 2, 1))


def _step(state: TrainingState, batches: list[Tensor], config: TrainingConfig) -> Curves:
    """Taught discriminators see images as they are: between pixels, moved ones are softer than those to be judged."""
    moved = batches
    if config.augment:
        moved = [augment(batch, generator("augment", config.seed, state.step, i)) for i, batch in enumerate(batches)]
    curves = _main_step(state, moved, config)
    if state.networks.D_patch is not None:
        curves |= patch_step(state, batches[-1], config, seed_of("negatives", config.seed, state.step))
    if state.networks.D_turn is not None:
        curves |= turn_step(state, batches[-1], config)
    return curves


def _main_step(state: TrainingState, batches: list[Tensor], config: TrainingConfig) -> Curves:
    torch.manual_seed(seed_of("step", config.seed, state.step))  # for dropout and the gradient penalty
    x = batches[-1]
    if config.method is Method.AUTOENCODER:
        return autoencoder_step(state, x, config)
    if state.encoder_from is not None and state.step >= state.encoder_from:
        if state.step == state.encoder_from:
            state.networks.load_state_dict(state.ema.state_dict())
        return encoder_step(state, x, config)
    network = state.networks.config
    shape = (len(batches) * len(x), network.latent_dim)
    z = draw(network.prior, shape, generator("latents", config.seed, state.step)).to(x.device)
    return game_step(state, list(zip(batches, z.chunk(len(batches)), strict=True)), config)


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
    order: NDArray[np.int64] = torch.randperm(n, generator=generator("epoch", seed, epoch)).numpy()
    return order


def _rows(recent: list[Curves], step: int) -> list[HistoryRow]:
    """One row a step, the last of which is `step`: all in one transfer from the device."""
    names = list(recent[0])
    table = torch.stack([torch.stack([curves[name].float() for name in names]) for curves in recent]).tolist()
    first = step - len(recent) + 1
    for number, values in enumerate(table, start=first):
        broken = [name for name, value in zip(names, values, strict=True) if not math.isfinite(value)]
        if broken:
            raise _diverged(broken, number)
    return [
        {"step": number} | {name: float(f"{value:.6g}") for name, value in zip(names, values, strict=True)}
        for number, values in enumerate(table, start=first)
    ]


def _means(rows: list[HistoryRow]) -> HistoryRow:
    """Of the columns that the last row has, over the rows that have it; its step."""
    last = rows[-1]
    means = {name: fmean(row[name] for row in rows if name in row) for name in last}
    return means | {"step": last["step"]}


def _diverged(broken: list[str], step: int) -> DivergedError:
    return DivergedError(
        f"training diverged: {', '.join(broken)} not finite in step {step}. "
        "Lower --learning-rate, keep spectral normalisation on, or use --train-precision fp32"
    )


def _run_id(network: NetworkConfig, config: TrainingConfig, data: str, decoder: Mapping[str, Tensor] | None) -> str:
    """A digest of all that decides the weights; a resumed run may ask for more steps where these decide nothing."""
    free = {"steps"} if config.method is not Method.F_ANOGAN else set()
    chosen = [network.model_dump(mode="json"), config.model_dump(mode="json", exclude=free), data]
    if decoder is not None:
        chosen += [hashlib.sha256(decoder[name].numpy().tobytes()).hexdigest() for name in sorted(decoder)]
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
