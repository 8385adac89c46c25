"""φ's features as f: terms, maps and searches that have them, and bundles that both engines score alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from anomaly.bundle import load
from anomaly.config import Precision, Recipe
from anomaly.config.places import NOTICE
from anomaly.inference import EngineName, latents, load_detector
from anomaly.inference.graph import EvidenceGraph
from anomaly.inference.precision import lower_precision
from anomaly.inference.search import Objective, search_latents
from anomaly.networks import build, num_maps
from anomaly.networks.pretrained import load_pretrained
from anomaly.runtime import to_float
from tests.digit_images import Pixels, normals, others
from tests.inference.engines import by_torch

STRIDES = {"phi_4": 4, "phi_8": 8, "phi_16": 16}


def recipe_of(method: str, channels: int = 1, **sections: dict[str, Any]) -> Recipe:
    fields: dict[str, Any] = {
        "preprocess": {"size": 32, "channels": channels},
        "network": {"latent_dim": 3, "width": 4, "phi": True},
        "training": {"method": method},
    }
    return Recipe.model_validate(fields | sections)


def graph_of(recipe: Recipe) -> EvidenceGraph:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = build(recipe.plan).eval().requires_grad_(False)
    assert networks.phi is not None
    networks.phi.standardise([drawn(6, recipe.preprocess.channels, seed=5)])
    return EvidenceGraph(networks, recipe).eval()


def drawn(n: int, channels: int, *, seed: int = 0) -> Tensor:
    return torch.rand(n, channels, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def difference(graph: EvidenceGraph, layer: str, x: Tensor, x_hat: Tensor) -> Tensor:
    """By φ as the package has it."""
    assert graph.networks.phi is not None
    phi, stride = load_pretrained(), STRIDES[layer]
    deviation = graph.networks.phi.get_buffer(f"spread_{stride}")[:, None, None]
    apart: Tensor = (phi(x)[stride] - phi(x_hat)[stride]) / deviation
    return apart


@pytest.mark.parametrize(
    ("method", "channels"), [("bigan", 1), ("anogan", 3), ("f-anogan", 1), ("alad", 3), ("autoencoder", 1)]
)
def test_terms_and_maps_are_those_of_the_pretrained_network(method: str, channels: int) -> None:
    recipe = recipe_of(method, channels)
    graph, x = graph_of(recipe), drawn(3, channels)
    with torch.no_grad():
        seen = graph(x, torch.ones(3, 3), with_maps=True)
        assert seen.maps.shape == (3, num_maps(recipe.plan), 32, 32)
        for index, layer in enumerate(STRIDES):
            apart = difference(graph, layer, x, seen.x_hat).abs()
            name = "feature_matching" if layer == "phi_8" else f"feature_matching_{layer}"
            torch.testing.assert_close(seen.terms[name], apart.sum(dim=(1, 2, 3)), rtol=1e-4, atol=1e-3)
            laid = torch.nn.functional.interpolate(apart.mean(dim=1, keepdim=True), (32, 32), mode="bilinear")
            torch.testing.assert_close(seen.maps[:, index - 3, None], laid, rtol=1e-4, atol=1e-4)
        if method == "f-anogan":
            apart = difference(graph, "phi_8", x, seen.x_hat)
            pixels = (x - seen.x_hat).square().mean(dim=(1, 2, 3))
            torch.testing.assert_close(seen.terms["izi_f"], pixels + apart.square().mean(dim=(1, 2, 3)))


def test_without_it_no_other_term_is_different() -> None:
    graph, x, z = graph_of(recipe_of("bigan")), drawn(3, 1), torch.ones(3, 3)
    layer = {"feature_layer": "conv3"}
    with torch.no_grad():
        told = EvidenceGraph(graph.networks, recipe_of("bigan", score=layer))(x, z).terms
        graph.networks.phi = None
        plain = EvidenceGraph(graph.networks, recipe_of("bigan", score=layer))(x, z).terms
    assert set(told) - set(plain) == {f"feature_matching_{name}" for name in STRIDES}
    assert all(torch.equal(told[name], plain[name]) for name in plain)


def test_a_search_lowers_the_score_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it minimises, and the gradient that reaches z, are those of A(x) by the package's network."""
    losses: list[Objective] = []

    def spy(loss: Objective, *rest: Any, **options: Any) -> tuple[Tensor, Tensor]:
        losses.append(loss)
        return search_latents(loss, *rest, **options)

    monkeypatch.setattr(latents, "search_latents", spy)
    search: dict[str, Any] = {"start": "prior", "steps": 40, "restarts": 1}
    recipe = recipe_of("anogan", search=search, score={"feature_layer": "phi_16"})
    graph = graph_of(recipe)
    G = lively(graph.networks.G)
    assert recipe.search is not None
    with torch.no_grad():
        pixels = ((G(torch.randn(3, 3, generator=torch.Generator().manual_seed(1))) + 1) * 127.5).byte().numpy()
    x = to_x(pixels)

    def score(z: Tensor) -> Tensor:
        x_hat: Tensor = G(z)
        matched = difference(graph, "phi_16", x, x_hat).abs().sum(dim=(1, 2, 3))
        total: Tensor = 0.5 * (x - x_hat).abs().sum(dim=(1, 2, 3)) + 0.5 * matched
        return total

    brief = recipe.search.model_copy(update={"steps": 1})
    starts, found = (latents.search_images(graph, pixels, each, 0.5, to_x) for each in (brief, recipe.search))
    assert (score(found) < 0.9 * score(starts)).all()
    z = starts.clone().requires_grad_(True)
    told, expected = losses[0](torch.arange(3), z), score(z)
    torch.testing.assert_close(told, expected, rtol=1e-4, atol=1e-3)
    (gradient,), (wanted,) = (torch.autograd.grad(each.sum(), z) for each in (told, expected))
    assert (wanted.abs().sum(dim=1) > 1).all()
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-2)


def test_a_faster_precision_rounds_the_features_and_no_more() -> None:
    graph, x, z = graph_of(recipe_of("bigan")), drawn(3, 1), torch.ones(3, 3)
    with torch.no_grad():
        exact = graph(x, z).terms
        lower_precision(graph.networks, Precision.BF16, torch.device("cpu"))
        rounded = graph(x, z).terms
    for name in ("feature_matching_phi_4", "feature_matching", "feature_matching_phi_16"):
        assert rounded[name].dtype is torch.float32
        torch.testing.assert_close(rounded[name], exact[name], rtol=0.05, atol=0)
        assert not torch.equal(rounded[name], exact[name])


def lively(G: nn.Module) -> nn.Module:
    """A generator whose untrained images differ: with batch statistics of its own, and strong last weights."""
    norms = [module for module in G.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        G.train()(torch.randn(64, 3, generator=torch.Generator().manual_seed(0)))
        G.get_parameter("to_image.0.weight").mul_(10)
    return G.eval()


def to_x(pixels: Pixels) -> Tensor:
    return to_float(torch.from_numpy(pixels))


def images() -> Pixels:
    return np.concatenate([normals()[:8], others()[:8]])


def test_both_engines_score_alike_and_each_image_by_itself(phi_dir: Path) -> None:
    here, there = load_detector(phi_dir, device="cpu"), by_torch(phi_dir)
    assert here.engine.name is EngineName.ONNXRUNTIME
    found, expected = here.score(list(images())), there.score(list(images()))
    assert {"feature_matching", "feature_matching_phi_4", "feature_matching_phi_16"} < set(expected.terms)
    for name, term in expected.terms.items():
        assert_allclose(found.terms[name], term, rtol=1e-4, atol=1e-6 * np.abs(term).max(), err_msg=name)
    assert_allclose(np.stack(found.heatmap), np.stack(expected.heatmap), rtol=1e-3, atol=1e-4)
    for detector, together in ((here, found), (there, expected)):
        assert_allclose(detector.score(list(images()[::-1][:5])).score, together.score[::-1][:5], rtol=1e-5)


def test_a_bundle_has_it_once_with_its_notice(phi_dir: Path) -> None:
    bundle = load(phi_dir)
    weights = bundle.contents.weights
    for name, weight in load_pretrained().state_dict().items():
        assert np.array_equal(weights[f"phi.network.{name}"], weight.numpy())
    assert sum(".stem.weight" in name for name in weights) == 1
    card = (bundle.ref.path / "README.md").read_text("utf-8")
    assert NOTICE in card
    assert "features matched by EfficientNet-Lite0 up to 1/16 (pretrained) too" in card
