"""Everything that changes in training: networks, their running average, the optimisers. And one file that holds it.

No pickle: tensors go to safetensors, everything else to JSON in the same file's metadata.
"""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from anomaly.config import Method, NetworkPlan, TrainingConfig
from anomaly.errors import CheckpointError, reason_of
from anomaly.files import replacing, storing
from anomaly.networks import (
    Networks,
    build,
    constrain_spectral_norm,
    copy_sharing_frozen,
    fold_spectral_norm,
    is_frozen,
)
from anomaly.runtime import place
from anomaly.torch_settings import own_draws
from anomaly.training.curves import HistoryRow
from anomaly.training.optimizers import auxiliary_optimizer, game_optimizer
from anomaly.training.ranks import ALONE, Ranks
from anomaly.training.whole_batch import see_whole_batches

_HISTORY = "history"


@dataclass(frozen=True)
class Best:
    """The averaged networks of the step that had the lowest stop criterion so far."""

    ema: Networks
    step: int
    criterion: float


@dataclass
class TrainingState:
    """`ema` follows `networks`. Optimisers: `optimizer_g` moves G and E, `optimizer_d` the discriminators of the game.

    `optimizers_auxiliary` move the auxiliary discriminators, by name.

    `step` counts the steps done. With `encoder_from`, the game ends before that step and an encoder is learnt from
    then on.
    """

    networks: Networks
    ema: Networks
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer | None
    optimizers_auxiliary: dict[str, torch.optim.Optimizer] = field(default_factory=dict)
    step: int = 0
    encoder_from: int | None = None
    best: Best | None = None
    history: list[HistoryRow] = field(default_factory=list)
    ranks: Ranks = ALONE

    def update_ema(self, decay: float) -> None:
        """Move `ema` towards `networks` by 1 − decay, weights and batch statistics alike; by more in early steps.

        The steps of an encoder that follows the game are counted from its first one: its average must forget the
        untrained weights.
        """
        follows = self.encoder_from is not None and self.step > self.encoder_from
        age = self.step - (self.encoder_from or 0) if follows else self.step
        weight = 1.0 - min(decay, (1 + age) / (10 + age))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.networks.parameters()), weight)
            for (name, average), value in zip(self.ema.named_buffers(), self.networks.buffers(), strict=True):
                if "running_" in name and average is not value:
                    average.lerp_(value, weight)
                elif average is not value:
                    average.copy_(value)

    def keep_if_best(self, criterion: float) -> None:
        """Keep the averaged networks as they are now if none were better."""
        if self.best is None or criterion < self.best.criterion:
            self.best = Best(copy_sharing_frozen(self.ema), self.step, criterion)

    def result(self) -> Networks:
        """The best averaged networks, or the last, as plain weights, in evaluation mode: what a bundle stores."""
        networks = copy_sharing_frozen(self.ema if self.best is None else self.best.ema)
        for discriminator in networks.discriminators():
            fold_spectral_norm(discriminator)
        return networks.eval().requires_grad_(False)


def new_state(
    plan: NetworkPlan,
    config: TrainingConfig,
    device: torch.device,
    *,
    decoder: Mapping[str, Tensor] | None = None,
    ranks: Ranks = ALONE,
) -> TrainingState:
    """Step 0: initial weights drawn from the seed alone, or G's those of a `decoder`."""
    with own_draws(device):
        torch.manual_seed(config.seed)
        networks = build(plan)
        if config.spectral_norm:
            for discriminator in networks.discriminators():
                constrain_spectral_norm(discriminator)
    if decoder is not None:
        networks.G.load_state_dict(dict(decoder))
    place(networks, device)
    ema = copy_sharing_frozen(networks).requires_grad_(False)
    see_whole_batches(networks, config.batch_size // ranks.size, ranks)
    judging = [p for discriminator in networks.discriminators() for p in discriminator.parameters()]
    generating = [p for part in (networks.G, networks.E) if part is not None for p in part.parameters()]
    return TrainingState(
        networks=networks.train(),
        ema=ema,
        optimizer_g=game_optimizer(generating, config),
        optimizer_d=game_optimizer(judging, config) if judging else None,
        optimizers_auxiliary={a.name: auxiliary_optimizer(a) for a in networks.all_auxiliaries()},
        encoder_from=encoder_from(config),
        ranks=ranks,
    )


def encoder_from(config: TrainingConfig) -> int | None:
    """Where f-AnoGAN's encoder begins: its game has two thirds of the steps."""
    return config.steps * 2 // 3 if config.method is Method.F_ANOGAN else None


def save_checkpoint(state: TrainingState, path: Path, *, run: str) -> None:
    """Write the whole state; the file at `path` is always a complete one. `run` names the run it belongs to.

    Raises:
        StorageError: it cannot be written.
    """
    columns = list(dict.fromkeys(name for row in state.history for name in row))
    tensors = _tensors(state) | {_HISTORY: _table(state.history, columns)}
    rest: dict[str, object] = {"step": state.step, "encoder_from": state.encoder_from, "columns": columns}
    if state.best is not None:
        rest["best"] = {"step": state.best.step, "criterion": state.best.criterion}
    metadata = {"run": run, "rest": json.dumps(rest)}
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    num_bytes = sum(tensor.nbytes for tensor in stored.values())
    with storing("a checkpoint", path.parent, num_bytes=num_bytes, instead="choose another --out"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as work:
            _save_tensors(stored, work, metadata)


def run_of_checkpoint(path: Path) -> str | None:
    """The run that a checkpoint belongs to; None where it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("run")
    except (SafetensorError, OSError):
        return None


def load_checkpoint(state: TrainingState, path: Path, *, run: str) -> None:
    """Continue from a checkpoint of the same run.

    Raises:
        CheckpointError: there is none, it is broken, or it belongs to another run (other data, options or seed, or
            another version of anomaly).
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError as error:
        raise CheckpointError(f"nothing to resume: there is no checkpoint at {path}; train without --resume") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"the checkpoint {path} cannot be read ({reason_of(error)}); train without --resume"
        ) from error
    if metadata.get("run") != run:
        raise of_another_run(path)
    for prefix, names in (("networks", state.networks.state_dict()), ("ema", _own(state.ema))):
        if names.keys() != {name.removeprefix(f"{prefix}/") for name in stored if name.startswith(f"{prefix}/")}:
            raise of_another_run(path)
    for prefix, optimizer in _optimizers(state).items():
        _restore_optimizer(optimizer, stored, prefix)
    for prefix, networks in (("networks", state.networks), ("ema", state.ema)):
        _restore(networks, stored, prefix)
    rest = json.loads(metadata["rest"])
    if "best" in rest:
        best = copy_sharing_frozen(state.ema)
        _restore(best, stored, "best")
        state.best = Best(best, **rest["best"])
    state.step, state.encoder_from = rest["step"], rest["encoder_from"]
    # older versions kept the rows beside the tensors, where there is room for 370,000
    state.history = rest["history"] if "history" in rest else _rows(stored[_HISTORY], rest["columns"])


def of_another_run(path: Path) -> CheckpointError:
    """The error, not yet raised, that the checkpoint is not of the run that is to be resumed."""
    return CheckpointError(
        f"the checkpoint {path} belongs to another run: its images, options, seed or number of ranks differ, or "
        "another version of anomaly began it. Give the same options as before, go on by the version that began it, "
        "or train without --resume to start anew"
    )


def _save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """As safetensors does. It raises an error of its own for a full disk, which holds the system's number as text."""
    try:
        save_file(dict(tensors), path, metadata)
    except SafetensorError as error:
        if found := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error
        raise


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    """Frozen parts are stored once, with the networks."""
    tensors = {f"networks/{name}": t for name, t in state.networks.state_dict().items()}
    tensors |= {f"ema/{name}": t for name, t in _own(state.ema).items()}
    if state.best is not None:
        tensors |= {f"best/{name}": t for name, t in _own(state.best.ema).items()}
    for prefix, optimizer in _optimizers(state).items():
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{prefix}/{index}/{name}": t for name, t in moments.items() if t is not None}
    return tensors


def _table(history: Sequence[HistoryRow], columns: Sequence[str]) -> Tensor:
    """The curves as (steps, columns) in double precision; NaN where a row lacks a column."""
    values = [[row.get(name, math.nan) for name in columns] for row in history]
    return torch.tensor(values, dtype=torch.float64).view(len(history), len(columns))


def _rows(table: Tensor, columns: Sequence[str]) -> list[HistoryRow]:
    """The rows of a `_table`."""
    rows = (dict(zip(columns, values, strict=True)) for values in table.tolist())
    return [
        {name: int(value) if name == "step" else value for name, value in row.items() if not math.isnan(value)}
        for row in rows
    ]


def _own(networks: Networks) -> dict[str, Tensor]:
    """The state without that of frozen parts, which is the same in all copies."""
    frozen = is_frozen(networks)
    return {name: t for name, t in networks.state_dict().items() if not frozen[name]}


def _restore(networks: Networks, stored: dict[str, Tensor], prefix: str) -> None:
    own = {name.removeprefix(f"{prefix}/"): t for name, t in stored.items() if name.startswith(f"{prefix}/")}
    networks.load_state_dict(networks.state_dict() | own)


def _optimizers(state: TrainingState) -> dict[str, torch.optim.Optimizer]:
    all_ = {"optimizer_g": state.optimizer_g, "optimizer_d": state.optimizer_d}
    all_ |= {f"optimizer_{name}": optimizer for name, optimizer in state.optimizers_auxiliary.items()}
    return {name: optimizer for name, optimizer in all_.items() if optimizer is not None}


def _restore_optimizer(optimizer: torch.optim.Optimizer, stored: dict[str, Tensor], prefix: str) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in stored.items():
        head, _, rest = key.partition("/")
        if head == prefix:
            index, _, name = rest.partition("/")
            state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
