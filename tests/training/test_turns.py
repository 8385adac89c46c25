from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from anomaly.config import Method
from anomaly.networks import NUM_TURNS, turned
from anomaly.runtime import generator, to_float
from anomaly.scoring.terms import turn_doubt
from anomaly.training.state import new_state
from anomaly.training.turns import _vary, turn_step
from tests.training.runs import CPU, assert_resumes, digits, network, training

TURNED = network(Method.BIGAN).model_copy(update={"turn_discriminator": True})


def test_a_step_moves_the_turn_discriminator_and_nothing_else() -> None:
    state = new_state(TURNED.model_copy(update={"patch_discriminator": True}), training(Method.BIGAN), CPU)
    before = {name: p.detach().clone() for name, p in state.networks.named_parameters()}
    curves = turn_step(state, torch.rand(4, 1, 8, 8), training(Method.BIGAN))
    moved = {name.split(".")[0] for name, p in state.networks.named_parameters() if not torch.equal(before[name], p)}
    assert moved == {"D_turn"}
    assert curves.keys() == {"loss_turn", "grad_turn"}


def test_the_loss_is_the_cross_entropy_of_the_right_turns() -> None:
    state = new_state(TURNED, training(Method.BIGAN), CPU)
    x, config = torch.rand(3, 1, 8, 8), training(Method.BIGAN)
    copies = turned(_vary(x, generator("turns", config.seed, state.step)))
    assert state.networks.D_turn is not None
    with torch.no_grad():
        logits = state.networks.D_turn(copies)
    right = torch.tensor([quarters for quarters in range(NUM_TURNS) for _ in range(3)])
    loss = turn_step(state, x, config)["loss_turn"]
    torch.testing.assert_close(loss, cross_entropy(logits, right))
    torch.testing.assert_close(loss, turn_doubt(logits).mean())


def test_images_are_mirrored_or_not_and_shifted_a_little() -> None:
    x = torch.rand(64, 1, 32, 32, generator=generator("images"))
    varied = _vary(x, generator("vary"))
    middle = varied[:, :, 8:24, 8:24]
    found = [
        any(
            torch.equal(middle[i], candidate[:, 8 + row : 24 + row, 8 + column : 24 + column])
            for row in range(-2, 3)
            for column in range(-2, 3)
        )
        for i in range(len(x))
        for candidate in (x[i], x[i].flip(2))
    ]
    assert sum(found) == len(x)
    assert 16 < sum(found[::2]) < 48


def test_it_learns_which_way_unseen_digits_stand_and_doubts_others() -> None:
    config = training(Method.BIGAN, learning_rate=2e-3)
    state = new_state(TURNED, config, CPU)
    pixels = digits(150)
    x, unseen = to_float(torch.from_numpy(pixels[:110])), to_float(torch.from_numpy(pixels[110:]))
    for step in range(60):
        state.step = step
        turn_step(state, x[(step * 32) % 96 :][:32], config)
    assert state.networks.D_turn is not None
    state.networks.D_turn.eval()
    with torch.no_grad():
        normal, noise = (turn_doubt(state.networks.D_turn(turned(t))) for t in (unseen, torch.randn_like(unseen)))
    assert normal.mean() < 0.8 * np.log(NUM_TURNS)
    assert noise.mean() > normal.mean() + 0.3


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    row = assert_resumes(TURNED, training(Method.BIGAN, steps=20), tmp_path)
    assert {"loss_turn", "grad_turn"} < row.keys()
