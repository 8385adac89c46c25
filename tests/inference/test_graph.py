"""The evidence graph as one module: exported as it is, and the same numbers come of it."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from anomaly.config import Recipe
from anomaly.inference.graph import EvidenceGraph, Observation, verdict_name
from anomaly.networks import build, num_maps
from anomaly.networks.auxiliary import SyntheticDefects

N = 4
TINY: dict[str, dict[str, Any]] = {
    "preprocess": {"size": 16},
    "network": {"latent_dim": 3, "width": 4},
}
KINDS: dict[str, dict[str, dict[str, Any]]] = {
    "bigan": {},
    "alad": {"training": {"method": "alad"}},
    "f-anogan": {"training": {"method": "f-anogan"}},
    "autoencoder": {"training": {"method": "autoencoder"}},
    "surfaces": {"auxiliary": {"synthetic_defects": True, "memory_bank": 5}},
    "upright objects": {"auxiliary": {"rotation": True}},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def recipe_of(kind: str) -> Recipe:
    return Recipe.model_validate(TINY | KINDS[kind])


def graph_of(kind: str) -> EvidenceGraph:
    """In single precision and evaluation mode, a memory bank filled."""
    recipe = recipe_of(kind)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = build(recipe.plan).eval().requires_grad_(False)
    for auxiliary in networks.all_auxiliaries():
        if isinstance(auxiliary, SyntheticDefects) and auxiliary.memory_bank is not None:
            auxiliary.memory_bank.remember(auxiliary.discriminator(drawn(5, 1, 16, 16, seed=1)).features)
    return EvidenceGraph(networks.float(), recipe).eval()


def assert_equal(found: Observation, expected: Observation) -> None:
    assert list(found.terms) == list(expected.terms)
    for name, term in expected.terms.items():
        torch.testing.assert_close(found.terms[name], term, msg=name)
    torch.testing.assert_close((found.z_hat, found.x_hat), (expected.z_hat, expected.x_hat))
    assert (found.maps is None) == (expected.maps is None)
    if expected.maps is not None:
        torch.testing.assert_close(found.maps, expected.maps)


@each_kind
@pytest.mark.parametrize("with_maps", [False, True])
def test_an_exported_graph_gives_the_same_numbers(kind: str, with_maps: bool) -> None:
    graph, x = graph_of(kind), drawn(N, 1, 16, 16)
    with torch.no_grad():
        program = torch.export.export(graph, (x,), {"with_maps": with_maps})
        other = drawn(N, 1, 16, 16, seed=2)
        assert_equal(program.module()(other, with_maps=with_maps), graph(other, with_maps=with_maps))
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    guards = "aten._assert_tensor_metadata.default"  # export's own, of what it was given
    computed = [node for node in calls if str(node.target) != guards]
    assert len(computed) > 10
    assert not [str(node.target) for node in computed if "autocast" in str(node.target) or "device" in node.kwargs]


@each_kind
def test_it_has_the_shapes_of_its_plan_and_no_value_decides_what_it_computes(kind: str) -> None:
    """Fake tensors have no values: what asks for one fails."""
    graph, plan = graph_of(kind), recipe_of(kind).plan
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        seen: Observation = graph(torch.empty(N, 1, 16, 16), with_maps=True)
        without: Observation = graph(torch.empty(N, 1, 16, 16))
    assert seen.maps is not None
    assert without.maps is None
    assert seen.maps.shape == (N, num_maps(plan), 16, 16)
    assert (seen.z_hat.shape, seen.x_hat.shape) == ((N, 3), (N, 1, 16, 16))
    assert {tuple(term.shape) for term in seen.terms.values()} == {(N,)}


@each_kind
def test_latents_that_are_given_take_the_place_of_the_encoders(kind: str) -> None:
    graph, x, z = graph_of(kind), drawn(N, 1, 16, 16), drawn(N, 3, seed=3)
    with torch.no_grad():
        assert_equal(graph(x, graph.networks.encode(x)), graph(x))
        seen = graph(x, z)
        torch.testing.assert_close(seen.x_hat, graph.networks.G(z))
    assert torch.equal(seen.z_hat, z)
    torch.testing.assert_close(seen.terms["latent_norm"], z.square().sum(dim=1))


def test_the_terms_of_each_kind_and_their_order() -> None:
    """The order is that in which statistics and goldens are stored."""
    residuals, features = ["residual", "residual_half", "residual_quarter"], ["feature_matching_conv1"]
    expected = {
        "bigan": [*features, "feature_matching", "feature_matching_joint", "cross_entropy"],
        "alad": [*features, "feature_matching", "cross_entropy"],
        "f-anogan": [*features, "feature_matching", "critic", "izi_f"],
        "autoencoder": [],
        "surfaces": [*features, "feature_matching", "feature_matching_joint", "cross_entropy", "synthetic_defects"],
        "upright objects": [*features, "feature_matching", "feature_matching_joint", "cross_entropy", "rotation"],
    }
    with torch.no_grad():
        found = {kind: list(graph_of(kind)(drawn(N, 1, 16, 16)).terms) for kind in KINDS}
    assert found == {kind: [*residuals, *terms, "latent_norm"] for kind, terms in expected.items()}


def test_an_auxiliary_discriminator_adds_its_term_and_changes_no_other() -> None:
    surfaces, x = graph_of("surfaces"), drawn(N, 1, 16, 16)
    with torch.no_grad():
        told = surfaces(x)
        surfaces.networks.auxiliaries = torch.nn.ModuleDict()
        plain = surfaces(x)
    assert set(told.terms) - set(plain.terms) == {"synthetic_defects"}
    assert all(torch.equal(told.terms[name], plain.terms[name]) for name in plain.terms)


@pytest.mark.parametrize(
    ("loss", "search", "expected"),
    [
        ("non-saturating", None, "cross_entropy"),
        ("minimax", "feature-matching", "cross_entropy"),
        ("minimax", "saturating", "saturating"),
        ("wasserstein", "feature-matching", "critic"),
        ("hinge", None, "critic"),
    ],
)
def test_what_d_says_is_named_by_its_loss_and_the_search(loss: str, search: str | None, expected: str) -> None:
    sections: dict[str, Any] = {"training": {"loss": loss}} | ({"search": {"objective": search}} if search else {})
    recipe = Recipe.model_validate(sections)
    assert verdict_name(recipe.training.loss, recipe.search) == expected
