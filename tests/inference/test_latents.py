"""What the latent search minimises: the score of the method's own paper, at each z."""

from typing import Any

import pytest
import torch
from torch import Tensor

from anomaly.config import Recipe
from anomaly.inference.graph import EvidenceGraph
from anomaly.inference.latents import _loss
from anomaly.networks import build
from anomaly.scoring.combine import paper_weights
from anomaly.scoring.terms import anomaly_score, cross_entropy, feature_matching, residual

N = 4
WEIGHT = 0.6
MLP: dict[str, Any] = {"architecture": "mlp", "hidden": [8, 6]}
DCGAN: dict[str, Any] = {"width": 4}
KINDS: dict[str, tuple[str, dict[str, Any], str | None, str]] = {
    "anogan": ("anogan", DCGAN, "conv1", "feature-matching"),
    "anogan, cross-entropy": ("anogan", DCGAN, None, "cross-entropy"),
    "anogan, saturating": ("anogan", DCGAN, None, "saturating"),
    "anogan, fully connected": ("anogan", MLP, None, "feature-matching"),
    "bigan, before z comes in": ("bigan", DCGAN, "conv1", "feature-matching"),
    "bigan, where z comes in": ("bigan", DCGAN, "joint", "feature-matching"),
    "bigan, cross-entropy": ("bigan", DCGAN, None, "cross-entropy"),
    "bigan, saturating": ("bigan", DCGAN, None, "saturating"),
    "bigan, fully connected": ("bigan", MLP, "hidden1", "feature-matching"),
}


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def graph_of(recipe: Recipe) -> EvidenceGraph:
    """With weights large enough that features differ, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = build(recipe.plan).eval().requires_grad_(False)
        for weight in networks.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return EvidenceGraph(networks, recipe).eval()


def recipe_of(kind: str, **search: Any) -> Recipe:
    method, network, layer, objective = KINDS[kind]
    return Recipe.model_validate(
        {
            "preprocess": {"size": 8},
            "network": {"latent_dim": 3, **network},
            "training": {"method": method},
            "search": {"objective": objective, **search},
            "score": {"combine": "paper", "feature_weight": WEIGHT, "feature_layer": layer},
        }
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_search_minimises_the_papers_score(kind: str) -> None:
    """Also where D's features depend on z: those of x are then of (x, z), as the term's are."""
    recipe = recipe_of(kind)
    assert recipe.search is not None
    graph, x, z = graph_of(recipe), drawn(N, 1, 8, 8, seed=1).tanh(), drawn(N, 3, seed=2)
    jobs = torch.tensor([2, 0, 3, 3])  # images of slots, in any order
    losses = _loss(graph, x, recipe.search, WEIGHT)(jobs, z)
    terms = graph(x[jobs], z).terms
    score = torch.stack([weight * terms[name] for name, weight in paper_weights(recipe).items()]).sum(dim=0)
    assert terms["residual"].min() > 0
    torch.testing.assert_close(losses, score)


def test_without_pairs_it_searches_as_before_0_3_1() -> None:
    """By D of (G(z), z), and by features of (x, 0): so old models find the latents that they were calibrated with."""
    jobs, x, z = torch.arange(N), drawn(N, 1, 8, 8, seed=1).tanh(), drawn(N, 3, seed=2)
    by_d, by_features = (recipe_of(kind, pairs=False) for kind in ("bigan, cross-entropy", "bigan, fully connected"))
    assert by_d.search is not None
    assert by_features.search is not None
    graph = graph_of(by_d)
    x_hat = graph.networks.G(z)
    expected = anomaly_score(residual(x, x_hat), cross_entropy(graph.networks.judge(x_hat, z).logits), WEIGHT)
    torch.testing.assert_close(_loss(graph, x, by_d.search, WEIGHT)(jobs, z), expected)
    graph = graph_of(by_features)
    x_hat = graph.networks.G(z)
    f, f_hat = (graph.networks.features_at("hidden1", *pair) for pair in ((x, torch.zeros_like(z)), (x_hat, z)))
    expected = anomaly_score(residual(x, x_hat), feature_matching(f, f_hat), WEIGHT)
    torch.testing.assert_close(_loss(graph, x, by_features.search, WEIGHT)(jobs, z), expected)
