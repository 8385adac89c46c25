"""One training, the same for every method: its state, new or resumed, its steps, the curves, checkpoints, the result.

A run that is killed and resumed ends in the same weights as one that was not. A callback says when to stop.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.config import Method, NetworkPlan, TrainingConfig
from anomaly.errors import CheckpointError
from anomaly.networks import Networks, draw
from anomaly.runtime import seeded_rng, to_float
from anomaly.training.auxiliary import in_batches
from anomaly.training.criterion import stop_criterion
from anomaly.training.curves import REPORT_EVERY, HistoryRow, OnRows, ShouldStop, diverged, means
from anomaly.training.following import tell_start
from anomaly.training.loop import run_steps
from anomaly.training.ranks import ALONE, Ranks
from anomaly.training.state import TrainingState, load_checkpoint, new_state, save_checkpoint

JUDGE_EVERY = 100
MAX_JUDGED = 512  # images
MAX_STANDARDISING = 256  # images that φ's channels are measured by
CHECKPOINT_EVERY_S = 60.0


@dataclass(frozen=True)
class Trained:
    """The averaged networks in evaluation mode, the curves (a row for each step), the steps done and the step kept."""

    networks: Networks
    history: list[HistoryRow] = field(repr=False)
    num_steps: int
    kept_step: int

    @property
    def last(self) -> HistoryRow:
        """The means of the curves over the last 10 steps."""
        return means(self.history[-REPORT_EVERY:])


@dataclass(frozen=True)
class Checkpoint:
    """Where the run keeps its state, and whether to continue from it. `data` is the images' fingerprint.

    `take_over` is called with the run's id before it is resumed: it brings the state of an earlier run to `path`.
    """

    path: Path
    data: str
    resume: bool = False
    take_over: Callable[[str], object] = lambda run: None
    every_s: float = CHECKPOINT_EVERY_S


def fit(
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    plan: NetworkPlan,
    config: TrainingConfig,
    *,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    decoder: Mapping[str, Tensor] | None = None,
    select: NDArray[np.int64] | None = None,
    ranks: Ranks = ALONE,
    should_stop: ShouldStop = lambda step, row: False,
    on_rows: OnRows = lambda rows: None,
) -> Trained:
    """Train on the `rows` of 8-bit images (n, c, size, size), which may be memory-mapped; G from a `decoder`'s weights.

    `should_stop(step, row)` is called every 10 steps with the means of the curves since the last call: of a game
    `value` = V(D, G), `d_real` = mean D(x), `d_fake` = mean D(G(z)), D's `accuracy`, the `diversity` of G's samples,
    the losses `loss_d` and `loss_g`, the cycle terms, and the norms of the gradients, `grad_d` and `grad_g`. Where an
    encoder follows the game (f-AnoGAN), the first yes ends the game only, and half its steps go to the encoder.

    With `select`, the rows of other normal images, every 100th row of the curves has the stop `criterion` on them, and
    `config.keep` may ask for the networks that had the best.

    `on_rows(rows)` gets every row of the curves once and in order, those of a resumed run's earlier part first.

    Where there are several `ranks`, rank 0 calls this, and the others `follow`; the pixels are a memory-mapped file.

    Raises:
        DivergedError: a loss or a weight is not finite any more.
        CheckpointError: resuming was asked for and is not possible.
    """
    run = _run_id(plan, config, checkpoint.data, decoder, ranks) if checkpoint else ""
    state = new_state(plan, config, device, decoder=decoder, ranks=ranks)
    resumed = None
    if checkpoint and checkpoint.resume:
        checkpoint.take_over(run)
        load_checkpoint(state, resumed := checkpoint.path, run=run)
        if state.step > config.steps:
            raise CheckpointError(
                f"the checkpoint {checkpoint.path} is at step {state.step:,}, beyond the {config.steps:,} asked for; "
                "give at least as many steps, or train without --resume to start anew"
            )
        on_rows(state.history)
    elif state.networks.phi is not None:
        state.networks.phi.standardise(in_batches(pixels, rows, device)(MAX_STANDARDISING))
    tell_start(ranks, pixels, rows, plan, config, checkpoint=resumed, run=run)
    judge = _judge_by(pixels, select, plan, config, device)
    saved_at = time.monotonic()

    def report(new: list[HistoryRow]) -> bool:
        state.history += new
        if state.step % JUDGE_EVERY == 0:
            state.history[-1] |= judge(state)
            new[-1] = state.history[-1]
        on_rows(new)
        return should_stop(state.step, means(new))

    def save(done: bool) -> None:
        nonlocal saved_at
        if checkpoint and (done or time.monotonic() - saved_at >= checkpoint.every_s):
            save_checkpoint(state, checkpoint.path, run=run)
            saved_at = time.monotonic()

    run_steps(state, pixels, rows, config, report=report, save=save)
    networks = state.result()
    broken = [name for name, weight in networks.state_dict().items() if not weight.isfinite().all()]
    if broken:  # by the last step, whose losses no later one shows
        raise diverged(broken, state.step)
    return Trained(networks, state.history, state.step, state.step if state.best is None else state.best.step)


def _judge_by(
    pixels: NDArray[np.uint8],
    select: NDArray[np.int64] | None,
    plan: NetworkPlan,
    config: TrainingConfig,
    device: torch.device,
) -> Callable[[TrainingState], HistoryRow]:
    """Computes the stop criterion of a state, as part of a row; empty without images, or before E is trained."""
    if select is None or not len(select):
        return lambda state: {}
    chosen = np.sort(select[:MAX_JUDGED])
    z = draw(plan.prior, (len(chosen), plan.latent_dim), seeded_rng("criterion", config.seed)).to(device)

    def judge(state: TrainingState) -> HistoryRow:
        if state.encoder_from is not None and state.step <= state.encoder_from:
            return {}
        x = to_float(torch.from_numpy(pixels[chosen]).to(device))
        criterion = float(f"{stop_criterion(state.ema, x, z):.6g}")
        if config.keep == "best":
            state.keep_if_best(criterion)
        return {"criterion": criterion}

    return judge


def _run_id(
    plan: NetworkPlan, config: TrainingConfig, data: str, decoder: Mapping[str, Tensor] | None, ranks: Ranks
) -> str:
    """A digest of all that decides the weights. A resumed run may have more steps where they change no earlier one."""
    free = {"steps"} if config.method is not Method.F_ANOGAN else set()
    chosen = [plan.model_dump(mode="json"), config.model_dump(mode="json", exclude=free), data]
    if ranks.size > 1:  # which changes how sums are rounded
        chosen.append(f"{ranks.size} ranks")
    if decoder is not None:
        chosen += [hashlib.sha256(decoder[name].numpy().tobytes()).hexdigest() for name in sorted(decoder)]
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
