"""All that changes while training: networks, their running average, the optimisers. And one file that holds it.

No pickle: tensors go to safetensors, everything else to JSON in the same file's metadata.
"""

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from anomaly.config import NetworkConfig, TrainingConfig
from anomaly.errors import CheckpointError
from anomaly.networks import Networks, build, constrain_spectral_norm, fold_spectral_norm
from anomaly.runtime import place

HistoryRow = dict[str, float]


@dataclass
class TrainingState:
    """`ema` follows `networks`; `optimizer_g` moves G and E. `step` counts the steps done."""

    networks: Networks
    ema: Networks
    optimizer_g: torch.optim.Adam
    optimizer_d: torch.optim.Adam
    step: int = 0
    history: list[HistoryRow] = field(default_factory=list)

    def update_ema(self, decay: float) -> None:
        """Move `ema` towards `networks` by 1 − decay, weights and batch statistics alike; by more in early steps."""
        weight = 1.0 - min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.networks.parameters()), weight)
            for (name, average), value in zip(self.ema.named_buffers(), self.networks.buffers(), strict=True):
                if "running_" in name:
                    average.lerp_(value, weight)
                else:
                    average.copy_(value)

    def result(self) -> Networks:
        """The averaged networks as plain weights, in evaluation mode: what a bundle stores."""
        networks = copy.deepcopy(self.ema)
        fold_spectral_norm(networks.D)
        return networks.eval().requires_grad_(False)


def new_state(network: NetworkConfig, config: TrainingConfig, device: torch.device) -> TrainingState:
    """Step 0: initial weights drawn from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        networks = build(network)
        if config.spectral_norm:
            constrain_spectral_norm(networks.D)
    place(networks, device)
    ema = copy.deepcopy(networks).requires_grad_(False)
    generating = [p for name, p in networks.named_parameters() if not name.startswith("D.")]
    betas = (config.beta1, config.beta2)
    return TrainingState(
        networks=networks.train(),
        ema=ema,
        optimizer_g=torch.optim.Adam(generating, lr=config.learning_rate, betas=betas),
        optimizer_d=torch.optim.Adam(networks.D.parameters(), lr=config.learning_rate, betas=betas),
    )


def save_checkpoint(state: TrainingState, path: Path, *, run: str) -> None:
    """Write the whole state; the file at `path` is always a complete one. `run` names the run it belongs to."""
    tensors = _tensors(state)
    metadata = {"run": run, "step": str(state.step), "history": json.dumps(state.history)}
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
    _restore_optimizer(state.optimizer_g, stored, "optimizer_g")
    _restore_optimizer(state.optimizer_d, stored, "optimizer_d")
    for prefix, networks in (("networks", state.networks), ("ema", state.ema)):
        own = {name.removeprefix(f"{prefix}/"): t for name, t in stored.items() if name.startswith(f"{prefix}/")}
        networks.load_state_dict(own)
    state.step = int(metadata["step"])
    state.history = json.loads(metadata["history"])


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    tensors = {f"networks/{name}": t for name, t in state.networks.state_dict().items()}
    tensors |= {f"ema/{name}": t for name, t in state.ema.state_dict().items()}
    for prefix, optimizer in (("optimizer_g", state.optimizer_g), ("optimizer_d", state.optimizer_d)):
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{prefix}/{index}/{name}": t for name, t in moments.items()}
    return tensors


def _restore_optimizer(optimizer: torch.optim.Optimizer, stored: dict[str, Tensor], prefix: str) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in stored.items():
        head, _, rest = key.partition("/")
        if head == prefix:
            index, _, name = rest.partition("/")
            state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
