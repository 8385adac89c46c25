"""All that changes while training: networks, their running average, the optimisers. And one file that holds it.

No pickle: tensors go to safetensors, everything else to JSON in the same file's metadata.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from anomaly.config import Method, NetworkConfig, TrainingConfig
from anomaly.errors import CheckpointError
from anomaly.networks import Networks, build, constrain_spectral_norm, fold_spectral_norm
from anomaly.runtime import place

TAUGHT_RATE = 1e-3  # Adam's, of discriminators that play no game
HistoryRow = dict[str, float]


@dataclass(frozen=True)
class Best:
    """The averaged networks of the step that had the lowest stop criterion so far."""

    ema: Networks
    step: int
    criterion: float


@dataclass
class TrainingState:
    """`ema` follows `networks`. Optimisers: `optimizer_g` moves G and E, `optimizer_d` the discriminators of the game.

    `optimizer_taught` moves D_patch and D_turn, where there are any.

    `step` counts the steps done. With `encoder_from`, the game ends before that step and an encoder is learnt from
    then on.
    """

    networks: Networks
    ema: Networks
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer | None
    optimizer_taught: torch.optim.Optimizer | None = None
    step: int = 0
    encoder_from: int | None = None
    best: Best | None = None
    history: list[HistoryRow] = field(default_factory=list)

    def update_ema(self, decay: float) -> None:
        """Move `ema` towards `networks` by 1 − decay, weights and batch statistics alike; by more in early steps.

        The steps of an encoder that follows the game are counted anew: its average must forget that it was untrained.
        """
        follows = self.encoder_from is not None and self.step > self.encoder_from
        age = self.step - (self.encoder_from or 0) if follows else self.step
        weight = 1.0 - min(decay, (1 + age) / (10 + age))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.networks.parameters()), weight)
            for (name, average), value in zip(self.ema.named_buffers(), self.networks.buffers(), strict=True):
                if "running_" in name:
                    average.lerp_(value, weight)
                else:
                    average.copy_(value)

    def compare(self, criterion: float) -> None:
        """Keep the averaged networks as they are now if none were better."""
        if self.best is None or criterion < self.best.criterion:
            self.best = Best(copy.deepcopy(self.ema), self.step, criterion)

    def result(self) -> Networks:
        """The best averaged networks, or the last, as plain weights, in evaluation mode: what a bundle stores."""
        networks = copy.deepcopy(self.ema if self.best is None else self.best.ema)
        for discriminator in networks.discriminators():
            fold_spectral_norm(discriminator)
        return networks.eval().requires_grad_(False)


def new_state(
    network: NetworkConfig, config: TrainingConfig, device: torch.device, *, decoder: Mapping[str, Tensor] | None = None
) -> TrainingState:
    """Step 0: initial weights drawn from the seed alone, or G's those of a `decoder`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        networks = build(network)
        if config.spectral_norm:
            for discriminator in networks.discriminators():
                constrain_spectral_norm(discriminator)
    if decoder is not None:
        networks.G.load_state_dict(dict(decoder))
    place(networks, device)
    ema = copy.deepcopy(networks).requires_grad_(False)
    judging = [p for discriminator in networks.discriminators() for p in discriminator.parameters()]
    generating = [p for part in (networks.G, networks.E) if part is not None for p in part.parameters()]
    taught = [p for discriminator in networks.taught() for p in discriminator.parameters()]
    return TrainingState(
        networks=networks.train(),
        ema=ema,
        optimizer_g=_optimizer(generating, config),
        optimizer_d=_optimizer(judging, config) if judging else None,
        optimizer_taught=torch.optim.Adam(taught, lr=TAUGHT_RATE, betas=(0.5, 0.999)) if taught else None,
        encoder_from=encoder_from(config),
    )


def encoder_from(config: TrainingConfig) -> int | None:
    """Where f-AnoGAN's encoder begins: its game has two thirds of the steps."""
    return config.steps * 2 // 3 if config.method is Method.F_ANOGAN else None


def _optimizer(parameters: list[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, lr=config.learning_rate, betas=(config.beta1, config.beta2))
        case "sgd":
            return torch.optim.SGD(parameters, lr=config.learning_rate, momentum=config.momentum)


def save_checkpoint(state: TrainingState, path: Path, *, run: str) -> None:
    """Write the whole state; the file at `path` is always a complete one. `run` names the run it belongs to."""
    tensors = _tensors(state)
    rest: dict[str, object] = {"step": state.step, "encoder_from": state.encoder_from, "history": state.history}
    if state.best is not None:
        rest["best"] = {"step": state.best.step, "criterion": state.best.criterion}
    metadata = {"run": run, "rest": json.dumps(rest)}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, beside, metadata)
    beside.replace(path)


def load_checkpoint(state: TrainingState, path: Path, *, run: str) -> None:
    """Continue from a checkpoint of the same run.

    Raises:
        CheckpointError: there is none, it is broken, or it belongs to another run (other data, options or seed).
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError as error:
        raise CheckpointError(f"nothing to resume: there is no checkpoint at {path}; train without --resume") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"the checkpoint {path} cannot be read ({error}); train without --resume") from error
    if metadata.get("run") != run:
        raise CheckpointError(
            f"the checkpoint {path} belongs to another run: its images, options or seed differ. "
            "Give the same options as before, or train without --resume to start anew"
        )
    for prefix, optimizer in _optimizers(state).items():
        _restore_optimizer(optimizer, stored, prefix)
    for prefix, networks in (("networks", state.networks), ("ema", state.ema)):
        own = {name.removeprefix(f"{prefix}/"): t for name, t in stored.items() if name.startswith(f"{prefix}/")}
        networks.load_state_dict(own)
    rest = json.loads(metadata["rest"])
    if "best" in rest:
        best = copy.deepcopy(state.ema)
        best.load_state_dict({name.removeprefix("best/"): t for name, t in stored.items() if name.startswith("best/")})
        state.best = Best(best, **rest["best"])
    state.step, state.encoder_from, state.history = rest["step"], rest["encoder_from"], rest["history"]


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    tensors = {f"networks/{name}": t for name, t in state.networks.state_dict().items()}
    tensors |= {f"ema/{name}": t for name, t in state.ema.state_dict().items()}
    if state.best is not None:
        tensors |= {f"best/{name}": t for name, t in state.best.ema.state_dict().items()}
    for prefix, optimizer in _optimizers(state).items():
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{prefix}/{index}/{name}": t for name, t in moments.items() if t is not None}
    return tensors


def _optimizers(state: TrainingState) -> dict[str, torch.optim.Optimizer]:
    all_ = {
        "optimizer_g": state.optimizer_g,
        "optimizer_d": state.optimizer_d,
        "optimizer_taught": state.optimizer_taught,
    }
    return {name: optimizer for name, optimizer in all_.items() if optimizer is not None}


def _restore_optimizer(optimizer: torch.optim.Optimizer, stored: dict[str, Tensor], prefix: str) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in stored.items():
        head, _, rest = key.partition("/")
        if head == prefix:
            index, _, name = rest.partition("/")
            state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
