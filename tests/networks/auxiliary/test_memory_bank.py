import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from anomaly.config import NetworkPlan
from anomaly.networks.auxiliary import MemoryBank
from anomaly.networks.auxiliary.patches import NUM_FEATURES, PatchJudgement

SIDE, NUM = 4, 5


def empty(num: int = NUM) -> MemoryBank:
    options = {"size": 8 * SIDE, "synthetic_defects": True, "memory_bank": num}
    return MemoryBank(NetworkPlan.model_validate(options))


def features(n: int, *, seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(n, NUM_FEATURES, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def judgement(of: Tensor, logit: float = 0.0) -> PatchJudgement:
    return PatchJudgement(torch.full((len(of), 2 * SIDE, 2 * SIDE), logit), of)


def filled() -> MemoryBank:
    bank = empty()
    bank.remember(features(NUM, seed=1, scale=3.0))
    return bank


def anomaly_of(bank: MemoryBank, judged: PatchJudgement) -> Tensor:
    """How anomalous each place is."""
    found: Tensor = bank(bank.evidence(judged))
    return found


def test_a_place_is_as_novel_as_its_features_lie_from_the_nearest_ones_of_the_same_place() -> None:
    remembered, seen = features(NUM, seed=1, scale=3.0).numpy(), features(2, seed=2, scale=3.0).numpy()
    spread = remembered.std(axis=(0, 2, 3), ddof=1)[:, None, None]
    expected = np.sqrt((((seen[:, None] - remembered[None]) / spread) ** 2).sum(axis=2)).min(axis=1)
    assert_allclose(anomaly_of(filled(), judgement(torch.from_numpy(seen))), expected, rtol=1e-3)


@pytest.mark.parametrize("num", [3, 40])
def test_novelty_is_exact_beside_what_is_remembered_and_in_any_batch(num: int) -> None:
    bank, remembered = empty(num), features(num, seed=1, scale=3.0) + 50.0
    bank.remember(remembered)
    near = remembered[:1] + 1e-3
    alone = bank.novelty(near)
    assert alone.max() < 0.02  # half precision, and the step away
    torch.testing.assert_close(bank.novelty(near.repeat(64, 1, 1, 1))[40], alone[0], rtol=1e-5, atol=1e-6)


def test_what_is_remembered_is_not_novel_but_elsewhere_it_is() -> None:
    bank, remembered = filled(), features(NUM, seed=1, scale=3.0)
    assert anomaly_of(bank, judgement(remembered)).max() < 0.05
    assert anomaly_of(bank, judgement(remembered.roll(1, dims=3))).min() > 1


def test_a_place_is_doubted_by_its_least_normal_logits_around() -> None:
    bank, remembered = filled(), features(NUM, seed=1, scale=3.0)
    logits = torch.full((NUM, 2 * SIDE, 2 * SIDE), 2.0)
    logits[0, 0, 4] = -16.0
    doubt = anomaly_of(bank, PatchJudgement(logits, remembered))[0]
    assert doubt[0, 2].item() == pytest.approx(-(5 * 2.0 - 16.0) / 6, abs=0.05)  # of six at the edge
    assert doubt[3, 0].item() == pytest.approx(-2.0, abs=0.05)


def test_settled_it_counts_in_deviations_of_other_normals() -> None:
    bank, others = filled(), judgement(features(200, seed=3, scale=3.0))
    noise = torch.randn(200, 2 * SIDE, 2 * SIDE, generator=torch.Generator().manual_seed(4))
    others = PatchJudgement(5.0 + noise, others.features)
    bank.settle(bank.evidence(others))
    found = anomaly_of(bank, others)
    assert found.mean().item() == pytest.approx(0.0, abs=0.05)
    assert found.std().item() == pytest.approx(2**0.5, rel=0.1)  # two independent kinds of evidence, each of 1
    doubted = anomaly_of(bank, PatchJudgement(others.logits - 1.0, others.features))
    assert (doubted > found).all()


def test_normals_that_all_agree_leave_finite_numbers() -> None:
    bank, one = empty(), features(1, seed=1).expand(NUM, -1, -1, -1)
    bank.remember(one)
    bank.settle(bank.evidence(judgement(one)))
    assert anomaly_of(bank, judgement(one)).abs().max() < 20
    assert anomaly_of(bank, judgement(features(2, seed=9))).isfinite().all()
