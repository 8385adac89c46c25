"""Trainings by one rank and by two, in double precision; the two are processes of their own."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from anomaly.config import Architecture, Method, NetworkPlan, TrainingConfig
from anomaly.networks.restorer import MapRestorer
from anomaly.runtime import to_float
from anomaly.training import ALONE, Checkpoint, Ranks, fit, follow, following, joined, loop
from anomaly.training.places.discriminator import train_discriminator
from anomaly.training.places.restorer import train_restorer
from anomaly.training.places.steps import StepWatch
from anomaly.training.state import TrainingState, new_state
from tests.training.runs import CPU, digits, network, training

NUM, SIZE = 100, 2
Case = tuple[NetworkPlan, TrainingConfig]


def _case(method: Method, steps: int = 10, plan: dict[str, object] | None = None, **changes: object) -> Case:
    changed = network(method, encoder=method is not Method.ANOGAN).model_copy(update=plan or {})
    return changed, training(method, steps, **{"batch_size": 64, **changes})


CASES: dict[str, Case] = {
    "bigan": _case(Method.BIGAN),
    "batch norm in D": _case(
        Method.ANOGAN, plan={"discriminator_batch_norm": True}, spectral_norm=False, d_steps=2, g_steps=2
    ),
    "f-anogan": _case(Method.F_ANOGAN, steps=15),
    "alad": _case(Method.ALAD, steps=10),
    "autoencoder": _case(Method.AUTOENCODER),
    "dropout": _case(
        Method.BIGAN, plan={"architecture": Architecture.MLP, "hidden": (16, 8)}, loss="hinge", optimizer="sgd"
    ),
    "auxiliaries": _case(Method.BIGAN, plan={"rotation": True, "synthetic_defects": True}, augment=True, batch_size=8),
}


def pixels_in(folder: Path) -> np.ndarray:
    """The digits as a memory-mapped file, as ranks need them."""
    path = folder / "pixels.u8"
    if not path.exists():
        path.write_bytes(digits(NUM).tobytes())
    return np.memmap(path, np.uint8, mode="r", shape=(NUM, 1, 8, 8))


def train(
    folder: Path,
    name: str,
    ranks: Ranks = ALONE,
    *,
    device: torch.device = CPU,
    kept: Checkpoint | None = None,
    stop: bool = False,
) -> None:
    """A case by rank 0: weights and curves go to a file of its name and the number of ranks."""
    plan, config = CASES[name]
    pixels, steps = pixels_in(folder), [0]

    def should_stop(step: int, row: dict[str, float]) -> bool:
        steps.append(step)
        return stop

    trained = fit(
        pixels, np.arange(NUM), plan, config, device=device, checkpoint=kept, ranks=ranks, should_stop=should_stop
    )
    rows = {
        f"curve/{key}": torch.tensor([row[key] for row in trained.history if key in row]) for key in _names(trained)
    }
    weights = {name: tensor.contiguous() for name, tensor in trained.networks.state_dict().items()}
    save_file(weights | rows, folder / f"{name}{' killed' if stop else ' resumed' if kept else ''}-{ranks.size}")


def teach_places(folder: Path, ranks: Ranks = ALONE) -> None:
    """A discriminator of places, with a share of spoilt ones, and a number of rows that two ranks cannot halve."""
    places = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    config = TrainingConfig(method=Method.FEATURES, steps=10, batch_size=22, learning_rate=1e-2)
    D, history = train_discriminator(places, places[:50] + 3, 1.0, 0.25, config, StepWatch(ranks=ranks))
    losses = torch.tensor([row["loss_d"] for row in history])
    save_file(dict(D.state_dict()) | {"curve/loss_d": losses}, folder / f"places-{ranks.size}")


def restore_maps(folder: Path, ranks: Ranks = ALONE) -> None:
    """A restorer of maps, whose batch norms see the pictures of all ranks."""
    generator = torch.Generator().manual_seed(0)
    coarse, pairs = (torch.randn(20, *shape, 6, 8, 8, generator=generator).half() for shape in [(), (2,)])
    restorer, config = MapRestorer(6), TrainingConfig(method=Method.FEATURES, steps=10)
    history = train_restorer(restorer, coarse, pairs, config, StepWatch(ranks=ranks))
    losses = torch.tensor([row["loss_g"] for row in history])
    save_file(dict(restorer.state_dict()) | {"curve/loss_g": losses}, folder / f"restored-{ranks.size}")


def result(folder: Path, name: str, num_ranks: int) -> dict[str, Tensor]:
    return load_file(folder / f"{name}-{num_ranks}")


def _names(trained: object) -> set[str]:
    return {key for row in trained.history for key in row}  # type: ignore[attr-defined]


@contextmanager
def in_double(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks, images and noise in double precision."""
    patch.setattr(loop, "to_float", lambda pixels: to_float(pixels).double())
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def rank(number: int, folder: Path, port: int, device: torch.device = CPU) -> None:
    """One of two processes; it does all cases, and a resumed one."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(number), "WORLD_SIZE": str(SIZE), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "LOCAL_RANK": str(number), "LOCAL_WORLD_SIZE": str(SIZE)}
    with pytest.MonkeyPatch.context() as patch, joined(device) as ranks, in_double(patch):
        if not ranks.leads:
            _go_astray(patch, folder)
            follow(ranks, device)
            return
        for name in CASES:
            train(folder, name, ranks, device=device)
        path = folder / "run" / "checkpoint.safetensors"
        teach_places(folder, ranks)
        restore_maps(folder, ranks)
        first, rest = Checkpoint(path, "digits", every_s=1e9), Checkpoint(path, "digits", resume=True)
        train(folder, "f-anogan", ranks, device=device, kept=first, stop=True)
        train(folder, "f-anogan", ranks, device=device, kept=rest)
        ranks.tell({"done": ""})


def _go_astray(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Rank 1 begins with other weights, and rounds its statistics and spectral vectors otherwise in each step."""
    step = loop._step

    def other_weights(*arguments: object, **options: object) -> TrainingState:
        state: TrainingState = new_state(*arguments, **options)  # type: ignore[arg-type]
        with torch.no_grad():
            for tensor in (*state.networks.parameters(), *state.networks.buffers()):
                tensor.add_(1)
        return state

    def other_buffers(state: TrainingState, *arguments: object) -> dict[str, Tensor]:
        curves = step(state, *arguments)  # type: ignore[arg-type]
        for buffer in state.networks.buffers():
            if buffer.is_floating_point():
                buffer.add_(0.1)
        return curves

    def kept(state: TrainingState, *arguments: object) -> None:
        loop.run_steps(state, *arguments)  # type: ignore[arg-type]
        tensors = {name: t.detach().contiguous() for name, t in state.networks.state_dict().items()}
        save_file(tensors, folder / f"networks of {state.networks.plan.encoder}-{state.ranks.rank}")

    patch.setattr(following, "new_state", other_weights)
    patch.setattr(loop, "_step", other_buffers)
    patch.setattr(following, "run_steps", kept)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
