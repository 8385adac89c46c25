"""The training loop, the same for every game.

Step t draws its images and its z from (seed, t) alone, so a run that is killed and resumed ends in the same weights as
one that was not. The loop is told when to stop by a callback.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.config import Method, NetworkConfig, TrainingConfig
from anomaly.errors import DivergedError
from anomaly.networks import Networks
from anomaly.runtime import generator, to_float
from anomaly.training.state import HistoryRow, TrainingState, load_checkpoint, new_state, save_checkpoint
from anomaly.training.steps import bigan_step, gan_step

RECORD_EVERY = 10
CHECKPOINT_EVERY_S = 60.0


@dataclass(frozen=True)
class Trained:
    """The averaged networks in evaluation mode, the curves (one row every 10 steps), and the steps done."""

    networks: Networks
    history: list[HistoryRow]
    num_steps: int


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
    should_stop: Callable[[int, HistoryRow], bool] = lambda step, row: False,
) -> Trained:
    """Train on the `rows` of 8-bit images (n, c, size, size), which may be memory-mapped.

    `should_stop(step, row)` is called every 10 steps with the means of the curves since the last call: `loss_d`,
    `loss_g`, `d_real` = mean D(x), `d_fake` = mean D(G(z)), and the cycle terms of the method.

    Raises:
        DivergedError: a loss or a weight is not finite any more.
        CheckpointError: resuming was asked for and is not possible.
    """
    state = new_state(network, config, device)
    run = _run_id(network, config, checkpoint.data) if checkpoint else ""
    if checkpoint and checkpoint.resume:
        load_checkpoint(state, checkpoint.path, run=run)
    saved_at = time.monotonic()
    batches = _batches(len(rows), config, start=state.step)
    recent: list[dict[str, Tensor]] = []
    while state.step < config.steps:
        x = to_float(torch.from_numpy(pixels[rows[next(batches)]]).to(device))
        recent.append(_step(state, x, config))
        state.step += 1
        state.update_ema(config.ema_decay)
        if state.step % RECORD_EVERY and state.step < config.steps:
            continue
        row = _means(recent, state.step)
        state.history.append(row)
        recent.clear()
        stop = should_stop(state.step, row)
        done = stop or state.step == config.steps
        if checkpoint and (done or time.monotonic() - saved_at >= checkpoint.every_s):
            save_checkpoint(state, checkpoint.path, run=run)
            saved_at = time.monotonic()
        if stop:
            break
    networks = state.result()
    broken = [name for name, weight in networks.state_dict().items() if not weight.isfinite().all()]
    if broken:  # by the last step, whose losses no later one shows
        raise _diverged(broken, state.step)
    return Trained(networks, state.history, state.step)


def _step(state: TrainingState, x: Tensor, config: TrainingConfig) -> dict[str, Tensor]:
    z = torch.randn(
        len(x), state.networks.config.latent_dim, generator=generator("latents", config.seed, state.step)
    ).to(x.device)
    match config.method:
        case Method.BIGAN:
            return bigan_step(state, x, z, config)
        case Method.ANOGAN:
            return gan_step(state, x, z, config)


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


def _means(recent: list[dict[str, Tensor]], step: int) -> HistoryRow:
    stacked = {name: torch.stack([curves[name] for curves in recent]).mean().item() for name in recent[0]}
    row: HistoryRow = {"step": step, **{name: float(value) for name, value in stacked.items()}}
    broken = [name for name, value in row.items() if not math.isfinite(value)]
    if broken:
        raise _diverged(broken, step)
    return row


def _diverged(broken: list[str], step: int) -> DivergedError:
    return DivergedError(
        f"training diverged: {', '.join(broken)} not finite in the steps up to {step}. "
        "Lower --learning-rate, keep spectral normalisation on, or use --train-precision fp32"
    )


def _run_id(network: NetworkConfig, config: TrainingConfig, data: str) -> str:
    """A digest of all that decides the weights; a resumed run may only ask for more steps."""
    chosen = [network.model_dump(mode="json"), config.model_dump(mode="json", exclude={"steps"}), data]
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
