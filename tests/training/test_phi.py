"""A training with φ beside it: the game does not see it, an encoder that follows does, and it is stored once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from anomaly.config import Method, NetworkPlan
from anomaly.networks.pretrained import load_pretrained
from anomaly.scoring.terms import izi_f
from anomaly.training import Checkpoint, Trained, fit
from anomaly.training.state import new_state
from anomaly.training.steps import encoder_step
from tests.training.runs import CPU, assert_same_weights, checkpoint, digits, network, training


def pixels(n: int = 24) -> NDArray[np.uint8]:
    return digits(n).repeat(4, axis=2).repeat(4, axis=3)


def plan(method: Method, *, phi: bool = True) -> NetworkPlan:
    return network(method).model_copy(update={"size": 32, "phi": phi})


def run(method: Method, steps: int, *, phi: bool = True, kept: Checkpoint | None = None, stop: bool = False) -> Trained:
    config = training(method, steps, batch_size=4)
    rows = np.arange(24)
    return fit(
        pixels(), rows, plan(method, phi=phi), config, device=CPU, checkpoint=kept, should_stop=lambda step, row: stop
    )


@pytest.mark.parametrize("method", [Method.BIGAN, Method.ANOGAN])
def test_the_game_is_the_one_without_it(method: Method) -> None:
    with_phi, without = (run(method, 10, phi=phi) for phi in (True, False))
    weights = with_phi.networks.state_dict()
    for name, weight in without.networks.state_dict().items():
        assert torch.equal(weights[name], weight), name
    assert with_phi.history == without.history


def test_an_encoder_that_follows_the_game_learns_by_it() -> None:
    config = training(Method.F_ANOGAN, 30)
    state = new_state(plan(Method.F_ANOGAN), config, CPU)
    networks, x = state.networks, torch.from_numpy(pixels(4)).float() / 127.5 - 1
    assert networks.phi is not None
    networks.phi.standardise([x])
    before = {name: t.clone() for name, t in networks.state_dict().items()}
    deviation, phi = networks.phi.get_buffer("spread_8")[:, None, None], load_pretrained()
    networks.eval()
    with torch.no_grad():
        networks.E.train()  # type: ignore[union-attr]
        x_hat = networks.G(networks.encode(x))
        expected = izi_f(x, x_hat, phi(x)[8] / deviation, phi(x_hat)[8] / deviation).mean()
    networks.load_state_dict(before)
    curves = encoder_step(state, x, config)
    torch.testing.assert_close(curves["izi_f"], expected)
    changed = {name for name, t in networks.state_dict().items() if not torch.equal(t, before[name])}
    assert changed
    assert all(name.startswith("E.") for name in changed)


@pytest.mark.parametrize("method", [Method.BIGAN, Method.F_ANOGAN])
def test_a_run_that_is_resumed_ends_in_the_same_weights_and_keeps_it_once(method: Method, tmp_path: Path) -> None:
    """Killed after ten steps; f-AnoGAN's encoder begins at the twentieth."""
    steps = 30 if method is Method.F_ANOGAN else 20
    whole = run(method, steps)
    if method is Method.BIGAN:
        run(method, steps, kept=checkpoint(tmp_path), stop=True)
    else:
        with pytest.raises(KeyboardInterrupt):
            _killed(method, steps, checkpoint(tmp_path))
    assert_same_weights(whole.networks, run(method, steps, kept=checkpoint(tmp_path, resume=True)).networks)
    with safe_open(checkpoint(tmp_path).path, framework="pt") as file:
        stored = [name for name in file.keys() if "phi." in name]  # noqa: SIM118 - not a mapping
    assert stored
    assert all(name.startswith("networks/phi.") for name in stored)


def _killed(method: Method, steps: int, kept: Checkpoint) -> None:
    def kill(step: int, row: object) -> bool:
        if step > 10:
            raise KeyboardInterrupt
        return False

    config = training(method, steps, batch_size=4)
    fit(pixels(), np.arange(24), plan(method), config, device=CPU, checkpoint=kept, should_stop=kill)
