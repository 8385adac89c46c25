"""A faster precision ends where a network does: what is made of its answers is in single precision."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anomaly.config import Precision, Recipe
from anomaly.inference.graph import EvidenceGraph
from anomaly.inference.precision import InPrecision, lower_precision
from anomaly.networks import Judgement, Networks, build
from anomaly.networks.auxiliary import MemoryBank
from tests.inference.test_graph import drawn
from tests.networks.auxiliary.parts import bank_of, defects_of

CPU = torch.device("cpu")
RECIPE = Recipe.model_validate(
    {
        "preprocess": {"size": 16},
        "network": {"latent_dim": 3, "width": 4},
        "auxiliary": {"synthetic_defects": True, "memory_bank": 5, "rotation": True},
    }
)


def networks() -> Networks:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = build(RECIPE.plan).eval().requires_grad_(False).float()
    bank_of(found).remember(defects_of(found).discriminator(drawn(5, 1, 16, 16, seed=1)).features)
    return found


@pytest.fixture
def lowered() -> Networks:
    found = networks()
    lower_precision(found, Precision.BF16, CPU)
    return found


def tensors_of(answer: Any) -> list[Tensor]:
    if isinstance(answer, Tensor):
        return [answer]
    if isinstance(answer, Judgement):
        return tensors_of([answer.logits, answer.features])
    return [t for part in (answer.values() if isinstance(answer, dict) else answer) for t in tensors_of(part)]


def test_every_network_answers_in_single_precision_and_computes_in_the_other(lowered: Networks) -> None:
    x, z = drawn(2, 1, 16, 16), drawn(2, 3)
    computed: list[torch.dtype] = []
    for name, module in lowered.named_modules():
        if name.endswith(".project.0"):  # of G: in double precision on a CPU, for the search
            continue
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.register_forward_hook(lambda module, inputs, output: computed.append(output.dtype))
    answers = [lowered.G(z), lowered.encode(x), lowered.judge(x, z)]
    answers += [auxiliary.discriminator(x) for auxiliary in lowered.all_auxiliaries()]
    assert len(computed) > 20
    assert set(computed) == {torch.bfloat16}
    for answer in answers:
        assert {t.dtype for t in tensors_of(answer)} == {torch.float32}


def test_answers_keep_their_kind_and_nearly_their_values(lowered: Networks) -> None:
    plain, x, z = networks(), drawn(2, 1, 16, 16), drawn(2, 3)
    judgement, expected = lowered.judge(x, z), plain.judge(x, z)
    assert type(judgement) is type(expected)
    assert list(judgement.features) == list(expected.features)
    patches, expected_patches = (defects_of(found).discriminator(x) for found in (lowered, plain))
    assert type(patches) is type(expected_patches)
    for found, wanted in zip(tensors_of([judgement, patches]), tensors_of([expected, expected_patches]), strict=True):
        assert not torch.equal(found, wanted)
        torch.testing.assert_close(found, wanted, rtol=0.1, atol=0.05)


def test_the_memory_bank_compares_in_single_precision(lowered: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    novelty, smallest = MemoryBank.novelty, Tensor.argmin

    def note(self: MemoryBank, features: Tensor) -> Tensor:
        seen.append(features)
        seen.append(novelty(self, features))
        return seen[-1]

    def note_distances(self: Tensor, **options: Any) -> Tensor:
        seen.append(self)
        return smallest(self, **options)

    monkeypatch.setattr(MemoryBank, "novelty", note)
    monkeypatch.setattr(Tensor, "argmin", note_distances)
    evidence = defects_of(lowered)(drawn(2, 1, 16, 16))
    assert len(seen) == 3
    assert {t.dtype for t in (*seen, evidence.term, *evidence.maps)} == {torch.float32}
    assert not any(isinstance(module, InPrecision) for module in bank_of(lowered).modules())


def test_terms_are_in_single_precision(lowered: Networks) -> None:
    graph = EvidenceGraph(lowered, RECIPE).eval()
    with torch.inference_mode():
        seen = graph(drawn(2, 1, 16, 16), with_maps=True)
    assert {t.dtype for t in (seen.z_hat, seen.x_hat, seen.maps, *seen.terms.values())} == {torch.float32}


def test_single_precision_leaves_the_networks_as_they_are() -> None:
    found = networks()
    before = copy.deepcopy(found)
    lower_precision(found, Precision.FP32, CPU)
    assert [name for name, _ in found.named_modules()] == [name for name, _ in before.named_modules()]
