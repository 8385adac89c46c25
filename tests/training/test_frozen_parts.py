"""A training of networks that have a frozen part: here that of a toy auxiliary discriminator."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from anomaly.config import Method, NetworkPlan
from anomaly.networks import AUXILIARIES, Auxiliary, AuxiliaryEvidence, Networks, builder
from anomaly.training import Checkpoint, Trained, fit
from anomaly.training.state import TrainingState, load_checkpoint, new_state, save_checkpoint
from tests.networks.test_frozen import Lens
from tests.training.runs import (
    CPU,
    assert_resumes,
    assert_same_weights,
    checkpoint,
    digits,
    network,
    the_first_of_two_is_best,
    training,
)

LENS = "auxiliaries.seen_through_a_lens.discriminator.0."


class SeenThroughALens(Auxiliary):
    """Its discriminator sees a frozen part's features, and learns to give the mean grey."""

    name = "seen_through_a_lens"

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.discriminator = nn.Sequential(Lens(), nn.Conv2d(4, 1, 1))

    def examples(self, x: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """The images, and their mean grey."""
        return x, x.mean(dim=(1, 2, 3))

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """The square of what is missing to the mean."""
        missing: Tensor = self.discriminator(images).mean(dim=(1, 2, 3)) - targets
        return missing.square().mean()

    def forward(self, x: Tensor) -> AuxiliaryEvidence:
        """A number, and no map."""
        return AuxiliaryEvidence(self.discriminator(x).mean(dim=(1, 2, 3)), ())

    @staticmethod
    def num_maps(plan: NetworkPlan) -> int:
        """None."""
        return 0


class LensPlan(NetworkPlan):
    """With a field for the toy, as `AuxiliaryConfig` has one for each that there is."""

    seen_through_a_lens: bool = True


PLAN = LensPlan.model_validate(dict(network(Method.BIGAN)))
CONFIG = training(Method.BIGAN, 20)


@pytest.fixture(autouse=True)
def with_a_lens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks have the toy where their plan says so."""
    monkeypatch.setattr(builder, "AUXILIARIES", (*AUXILIARIES, SeenThroughALens))


def lens_of(networks: Networks) -> dict[str, Tensor]:
    found = {name: t for name, t in networks.state_dict().items() if name.startswith(LENS)}
    assert len(found) == 7
    return found


def a_state() -> TrainingState:
    return new_state(PLAN, CONFIG, CPU)


def test_no_optimiser_has_it_and_the_average_shares_it() -> None:
    state = a_state()
    frozen = {t.data_ptr() for t in lens_of(state.networks).values()}
    optimizers = [state.optimizer_g, state.optimizer_d, *state.optimizers_auxiliary.values()]
    moved = {p.data_ptr() for o in optimizers if o is not None for group in o.param_groups for p in group["params"]}
    assert len(moved) == len(list(state.networks.parameters()))
    assert not frozen & moved
    assert {t.data_ptr() for t in lens_of(state.ema).values()} == frozen
    assert {t.data_ptr() for t in lens_of(state.result()).values()} == frozen


def test_a_run_leaves_it_as_it_was_and_moves_what_is_behind_it() -> None:
    before = a_state().networks
    trained = fit(digits(64), np.arange(64), PLAN, CONFIG, device=CPU)
    for name, tensor in lens_of(before).items():
        assert torch.equal(trained.networks.state_dict()[name], tensor), name
    name = LENS.replace(".0.", ".1.weight")
    assert not torch.equal(before.state_dict()[name], trained.networks.state_dict()[name])
    assert {"loss_seen_through_a_lens", "grad_seen_through_a_lens"} < trained.history[0].keys()
    losses = [row["loss_seen_through_a_lens"] for row in trained.history]
    assert losses[-1] < losses[0]


def test_it_stays_in_evaluation_mode_while_all_else_trains() -> None:
    state = a_state()
    assert state.networks.training
    for name, module in state.networks.named_modules():
        assert module.training == (not f"{name}.".startswith(LENS)), name


def test_a_checkpoint_holds_it_once(tmp_path: Path) -> None:
    config = training(Method.BIGAN, 100, keep="best")
    kept = checkpoint(tmp_path)
    fit(digits(64), np.arange(48), PLAN, config, device=CPU, checkpoint=kept, select=np.arange(48, 64))
    with safe_open(kept.path, framework="pt") as file:
        names = list(file.keys())
    assert sorted(name for name in names if LENS in name) == sorted(f"networks/{n}" for n in lens_of(a_state().ema))
    assert any(name.startswith("best/G.") for name in names)
    assert any(name.startswith("ema/G.") for name in names)


def test_it_comes_back_from_a_checkpoint_whatever_the_new_one_is(tmp_path: Path) -> None:
    state, resumed = a_state(), a_state()
    for tensor in lens_of(state.networks).values():
        tensor.copy_(torch.full_like(tensor, 3))
    save_checkpoint(state, tmp_path / "checkpoint", run="x")
    load_checkpoint(resumed, tmp_path / "checkpoint", run="x")
    for networks in (resumed.networks, resumed.ema):
        assert all((t == 3).all() for t in lens_of(networks).values())


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    assert_resumes(PLAN, CONFIG, tmp_path)


def test_the_best_of_a_killed_run_has_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    the_first_of_two_is_best(monkeypatch)
    config = training(Method.BIGAN, 200, keep="best")

    def go(kept: Checkpoint | None = None, *, stop_at: int = 0) -> Trained:
        data = (digits(64), np.arange(48), PLAN, config)
        return fit(
            *data,
            device=CPU,
            checkpoint=kept,
            select=np.arange(48, 64),
            should_stop=lambda step, row: step == stop_at,
        )

    whole = go()
    go(checkpoint(tmp_path), stop_at=110)
    resumed = go(checkpoint(tmp_path, resume=True))
    assert resumed.kept_step == whole.kept_step == 100
    assert_same_weights(whole.networks, resumed.networks)
