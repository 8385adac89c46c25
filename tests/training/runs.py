"""Short runs on scikit-learn's digits, 8 × 8 grey."""

import importlib
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor

from anomaly.config import Method, NetworkPlan, TrainingConfig
from anomaly.networks import Networks
from anomaly.training import Checkpoint, HistoryRow, Trained, fit

fit_module = importlib.import_module("anomaly.training.fit")  # whose name the function `fit` has too
CPU = torch.device("cpu")
DATA = "fingerprint of the digits"
Pixels = NDArray[np.uint8]


def digits(n: int) -> Pixels:
    """The first n digits, (n, 1, 8, 8)."""
    pixels: Pixels = np.rint(load_digits().images[:n, None] * (255 / 16)).astype(np.uint8)
    return pixels


def network(method: Method, *, encoder: bool = True) -> NetworkPlan:
    return NetworkPlan(
        size=8,
        latent_dim=2,
        width=4,
        max_width=8,
        joint=method in (Method.BIGAN, Method.ALAD),
        encoder=encoder,
        discriminator=method is not Method.AUTOENCODER,
        cycle_discriminators=method is Method.ALAD,
    )


def training(method: Method, steps: int = 40, **changes: object) -> TrainingConfig:
    return TrainingConfig.model_validate({"method": method, "steps": steps, "batch_size": 16} | changes)


def run(config: TrainingConfig, n: int = 64, *, checkpoint: Checkpoint | None = None) -> Trained:
    return fit(digits(n), np.arange(n), network(config.method), config, device=CPU, checkpoint=checkpoint)


def checkpoint(folder: Path, *, resume: bool = False, data: str = DATA) -> Checkpoint:
    """Saved at each record, every ten steps."""
    return Checkpoint(folder / "run" / "checkpoint.safetensors", data, resume=resume, every_s=0.0)


def the_first_of_two_is_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each two times that the stop criterion is computed, whatever a processor makes of the training."""
    judge, factors = fit_module.stop_criterion, itertools.cycle((1.0, 1000.0))
    monkeypatch.setattr(fit_module, "stop_criterion", lambda *args: next(factors) * judge(*args))


def assert_same_weights(a: Networks, b: Networks) -> None:
    """Equal to the bit."""
    weights, others = a.state_dict(), b.state_dict()
    assert weights.keys() == others.keys()
    different = [name for name, weight in weights.items() if not torch.equal(weight, others[name])]
    assert not different


def assert_resumes(network: NetworkPlan, config: TrainingConfig, folder: Path) -> HistoryRow:
    """Killed after ten steps and resumed, a run ends in the weights of one that was not; a row of its curves."""

    def go(kept: Checkpoint | None = None, *, stop: bool = False) -> Trained:
        rows = np.arange(64)
        return fit(digits(64), rows, network, config, device=CPU, checkpoint=kept, should_stop=lambda step, row: stop)

    whole = go()
    go(checkpoint(folder), stop=True)
    assert_same_weights(whole.networks, go(checkpoint(folder, resume=True)).networks)
    return whole.history[0]


def first_weight(networks: Networks) -> Tensor:
    """One weight for all, where it is enough to see that they differ."""
    return networks.get_parameter("G.project.0.weight")
