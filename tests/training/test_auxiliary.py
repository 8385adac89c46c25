"""Training of auxiliary discriminators beside a game, and their look at the normals afterwards."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from anomaly.config import Method, NetworkPlan
from anomaly.networks import Networks, build
from anomaly.networks.auxiliary.patches import PatchJudgement
from anomaly.runtime import to_float
from anomaly.training.auxiliary import auxiliary_step, settle
from anomaly.training.state import new_state
from tests.networks.auxiliary.parts import bank_of, defects_of
from tests.training.runs import CPU, Pixels, assert_resumes, digits, network, training

BOTH = network(Method.BIGAN).model_copy(update={"synthetic_defects": True, "rotation": True})
PLAN = network(Method.BIGAN).model_copy(update={"synthetic_defects": True})
TRAIN, SELECT = np.arange(40), np.arange(40, 60)
each_name = pytest.mark.parametrize("name", ["synthetic_defects", "rotation"])


@each_name
def test_a_step_moves_its_own_discriminator_and_nothing_else(name: str) -> None:
    state = new_state(BOTH, training(Method.BIGAN), CPU)
    (auxiliary,) = (a for a in state.networks.all_auxiliaries() if a.name == name)
    before = {name: p.detach().clone() for name, p in state.networks.named_parameters()}
    optimizer = state.optimizers_auxiliary[name]
    curves = auxiliary_step(auxiliary, optimizer, torch.rand(4, 1, 8, 8), training(Method.BIGAN), step=1)
    moved = {n for n, p in state.networks.named_parameters() if not torch.equal(before[n], p)}
    assert {".".join(n.split(".")[:3]) for n in moved} == {f"auxiliaries.{name}.discriminator"}
    assert curves.keys() == {f"loss_{name}", f"grad_{name}"}


@each_name
def test_a_killed_run_goes_on_to_the_same_weights(name: str, tmp_path: Path) -> None:
    plan = network(Method.BIGAN).model_copy(update={name: True})
    row = assert_resumes(plan, training(Method.BIGAN, steps=20), tmp_path)
    assert {f"loss_{name}", f"grad_{name}"} < row.keys()


def networks() -> Networks:
    torch.manual_seed(0)
    return build(PLAN).eval()


def settled(num: int = 40, train: np.ndarray = TRAIN) -> Networks:
    """Networks with a memory bank of `num` images."""
    found = networks()
    settle(found, with_bank(num), digits(60), train, SELECT, CPU)
    return found


def with_bank(num: int) -> NetworkPlan:
    return PLAN.model_copy(update={"memory_bank": num})


def judge(found: Networks, pixels: Pixels) -> PatchJudgement:
    with torch.no_grad():
        judgement: PatchJudgement = defects_of(found).discriminator(to_float(torch.from_numpy(pixels)))
    return judgement


def most_anomalous(found: Networks, pixels: Pixels) -> list[float]:
    with torch.no_grad():
        term: Tensor = defects_of(found)(to_float(torch.from_numpy(pixels))).term
    return term.tolist()


def test_the_memory_bank_remembers_the_images_that_trained_and_settles_on_those_that_select() -> None:
    found = settled()
    assert found.plan == with_bank(40)
    bank = bank_of(found)
    evidence = bank.evidence(judge(found, digits(60)[SELECT]))
    torch.testing.assert_close(bank.mean, evidence.mean(dim=0))  # one place only
    assert np.mean(most_anomalous(found, digits(40))) < np.mean(most_anomalous(found, digits(60)[40:]))
    noise = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 8), dtype=np.uint8)
    assert min(most_anomalous(found, noise)) > np.median(most_anomalous(found, digits(60)[40:]))


def test_the_memory_bank_is_saved_with_the_weights_and_loads_again() -> None:
    found = settled()
    loaded = Networks(found.plan).eval()
    loaded.load_state_dict(found.state_dict())
    assert most_anomalous(loaded, digits(8)) == most_anomalous(found, digits(8))


def test_of_too_many_images_the_memory_bank_remembers_some_of_all() -> None:
    few, same = settled(3), settled(3, np.array([0, 20, 39]))
    assert bank_of(few).features.shape[1] == 3
    assert most_anomalous(few, digits(60)) == most_anomalous(same, digits(60))


def test_without_a_memory_bank_nothing_is_settled() -> None:
    found, weights = networks(), networks().state_dict()
    settle(found, PLAN, digits(60), TRAIN, SELECT, CPU)
    assert defects_of(found).memory_bank is None
    assert all(torch.equal(weights[name], weight) for name, weight in found.state_dict().items())
