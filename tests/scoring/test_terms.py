"""The evidence terms against loops that follow the formulas letter by letter."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from anomaly.scoring.terms import (
    anomaly_score,
    critic,
    cross_entropy,
    feature_matching,
    izi_f,
    latent_norm,
    reconstruction_terms,
    residual,
    saturating,
)

LAYERS = {"conv1": (3, 4, 4), "conv2": (5, 2, 2)}


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def a_batch(n: int, *, seed: int = 0) -> dict[str, Tensor]:
    """All that the terms are made of, as one flat table, so that rows can be picked."""
    shapes = {"x": (2, 8, 8), "x_hat": (2, 8, 8), "z_hat": (3,), "logits": ()}
    shapes |= {f"{side}/{name}": shape for side in ("f", "f_hat") for name, shape in LAYERS.items()}
    return {key: drawn(n, *shape, seed=100 * seed + i) for i, (key, shape) in enumerate(shapes.items())}


def terms_of(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    terms = reconstruction_terms(
        batch["x"],
        batch["x_hat"],
        {name: batch[f"f/{name}"] for name in LAYERS},
        {name: batch[f"f_hat/{name}"] for name in LAYERS},
        feature_layer="conv2",
    )
    return terms | {"cross_entropy": cross_entropy(batch["logits"]), "latent_norm": latent_norm(batch["z_hat"])}


def naive_residual(x: Tensor, x_hat: Tensor, scale: int) -> list[float]:
    """Σ over tiles of `scale` × `scale` pixels of |mean difference in the tile|."""
    n, channels, height, width = x.shape
    sums = [0.0] * n
    for i, c, top, left in product(range(n), range(channels), range(0, height, scale), range(0, width, scale)):
        tile = [
            float(x[i, c, row, column] - x_hat[i, c, row, column])
            for row, column in product(range(top, top + scale), range(left, left + scale))
        ]
        sums[i] += abs(sum(tile) / len(tile))
    return sums


def naive_feature_matching(f: Tensor, f_hat: Tensor) -> list[float]:
    return [sum(abs(float(a) - float(b)) for a, b in zip(p, q, strict=True)) for p, q in zip(f, f_hat, strict=True)]


def test_all_terms_are_their_formulas() -> None:
    batch = a_batch(3)
    x, x_hat = batch["x"], batch["x_hat"]
    expected = {
        "residual": naive_residual(x, x_hat, 1),
        "residual_half": naive_residual(x, x_hat, 2),
        "residual_quarter": naive_residual(x, x_hat, 4),
        "feature_matching_conv1": naive_feature_matching(batch["f/conv1"].flatten(1), batch["f_hat/conv1"].flatten(1)),
        "feature_matching": naive_feature_matching(batch["f/conv2"].flatten(1), batch["f_hat/conv2"].flatten(1)),
        "cross_entropy": [-math.log(1 / (1 + math.exp(-float(logit)))) for logit in batch["logits"]],
        "latent_norm": [sum(float(v) ** 2 for v in z) for z in batch["z_hat"]],
    }
    terms = terms_of(batch)
    assert list(terms) == list(expected)  # the order that statistics and goldens are stored in
    for name, values in expected.items():
        np.testing.assert_allclose(terms[name].numpy(), values, rtol=1e-5, err_msg=name)


@given(st.permutations(range(5)), st.integers(1, 5))
def test_an_images_terms_do_not_depend_on_its_batch(order: list[int], num_kept: int) -> None:
    batch = a_batch(5)
    rows = order[:num_kept]
    together = terms_of(batch)
    for name, values in terms_of({key: value[rows] for key, value in batch.items()}).items():
        torch.testing.assert_close(values, together[name][rows], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("logit", [-100.0, -30.0, 0.0, 30.0, 100.0])
def test_cross_entropy_is_finite_where_the_logarithm_of_a_sigmoid_is_not(logit: float) -> None:
    expected = -logit if logit < -20 else math.log1p(math.exp(-logit))
    assert cross_entropy(torch.tensor([logit], dtype=torch.float64)).item() == pytest.approx(expected)
    assert math.isfinite(cross_entropy(torch.tensor([logit])).item())


def test_a_perfect_reconstruction_leaves_nothing() -> None:
    x = drawn(2, 3, 8, 8, seed=1)
    assert residual(x, x).tolist() == [0.0, 0.0]
    assert feature_matching(x, x).tolist() == [0.0, 0.0]
    assert latent_norm(torch.zeros(2, 4)).tolist() == [0.0, 0.0]


@given(st.floats(0, 3), st.floats(0.1, 3), st.sampled_from([1, 2, 4]))
def test_higher_is_more_anomalous(difference: float, more: float, scale: int) -> None:
    x_hat = torch.zeros(1, 1, 8, 8)
    assert residual(x_hat + difference + more, x_hat, scale=scale) > residual(x_hat + difference, x_hat, scale=scale)
    assert feature_matching(x_hat + difference + more, x_hat) > feature_matching(x_hat + difference, x_hat)
    assert latent_norm(torch.full((1, 2), difference + more)) > latent_norm(torch.full((1, 2), difference))
    assert cross_entropy(torch.tensor(-difference - more)) > cross_entropy(torch.tensor(-difference))


def test_a_coarse_residual_forgives_what_averages_out() -> None:
    checkerboard = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1.0
    x = checkerboard[None, None]
    assert residual(x, torch.zeros_like(x)).item() == 64
    assert residual(x, torch.zeros_like(x), scale=2).item() == 0


def test_the_papers_score_weighs_residual_and_features() -> None:
    score = anomaly_score(torch.tensor([10.0, 0.0]), torch.tensor([20.0, 5.0]), 0.1)
    assert score.tolist() == pytest.approx([0.9 * 10 + 0.1 * 20, 0.1 * 5])


def test_the_other_verdicts_by_hand() -> None:
    """D = 0.2: Yeh's form is log 0.8, higher for what D takes for a fake; a critic's output is turned round."""
    logits = torch.tensor([math.log(0.2 / 0.8), math.log(0.9 / 0.1)])
    assert saturating(logits).tolist() == pytest.approx([math.log(0.8), math.log(0.1)])
    assert critic(torch.tensor([3.0, -2.0])).tolist() == [-3.0, 2.0]


def test_izi_f_is_the_mean_square_of_pixels_and_that_of_features() -> None:
    x, x_hat = torch.zeros(1, 1, 2, 2), torch.tensor([2.0, 0, 0, 0]).view(1, 1, 2, 2)
    f, f_hat = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]])
    assert izi_f(x, x_hat, f, f_hat).tolist() == pytest.approx([4 / 4 + (9 + 1) / 2])
