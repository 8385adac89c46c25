"""D and G of one dimension against what is known in closed form."""

import math
from pathlib import Path

import pytest
import torch
from scipy.stats import norm
from torch import nn

from examples.gaussians import (
    DATA,
    Gaussian,
    draw_discriminator,
    generated,
    map_error,
    optimal_discriminator,
    optimal_value,
    quantile_error,
    train_discriminator,
    train_generator,
    value_of,
)

NORMAL = Gaussian(0.0, 1.0)


class Exact(nn.Module):
    """G(z) = F⁻¹(u), or F⁻¹ of another share, with u = (z + 1)/2."""

    def __init__(self, share: str) -> None:
        super().__init__()
        self.share = share

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        u = (z + 1) / 2
        return DATA.quantile({"up": u, "down": 1 - u, "folded": z.abs()}[self.share])


def test_the_gaussian_is_scipys() -> None:
    gaussian, x = Gaussian(0.3, 0.7), torch.linspace(-2, 2, 9, dtype=torch.float64)
    torch.testing.assert_close(gaussian.density(x), torch.from_numpy(norm.pdf(x.numpy(), 0.3, 0.7)))
    u = torch.linspace(0.01, 0.99, 9, dtype=torch.float64)
    torch.testing.assert_close(gaussian.quantile(u), torch.from_numpy(norm.ppf(u.numpy(), 0.3, 0.7)))


def test_the_best_value_where_nothing_can_be_told_and_where_all_can() -> None:
    assert optimal_value(NORMAL, NORMAL) == pytest.approx(-math.log(4))
    assert optimal_value(NORMAL, Gaussian(30.0, 1.0)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("mean", [0.0, 2.0])
def test_d_learns_the_closed_form(mean: float) -> None:
    fake = Gaussian(mean, 1.0)
    D = train_discriminator(NORMAL, fake, seed=0)
    x = torch.linspace(-2, mean + 2, 201)
    learned = D(x[:, None]).sigmoid().detach()
    assert (learned - optimal_discriminator(NORMAL, fake, x)).abs().max() < 0.05
    assert value_of(D, NORMAL, fake, seed=1) == pytest.approx(optimal_value(NORMAL, fake), abs=0.01)
    if mean == 0:
        assert (learned - 0.5).abs().max() < 0.05
        assert value_of(D, NORMAL, fake, seed=1) == pytest.approx(-math.log(4), abs=0.01)
    assert draw_discriminator(D, NORMAL, fake).startswith(b"\x89PNG")


def test_g_learns_an_inverse_cdf_up_or_down() -> None:
    G = train_generator(DATA, seed=0)
    assert map_error(G, DATA) < 0.4  # standard deviations, at the worst u of the middle 90 %
    assert quantile_error(G, DATA) < 0.4
    slopes = generated(G, torch.linspace(0.05, 0.95, 50)).diff()
    assert (slopes > 0).all() or (slopes < 0).all()


@pytest.mark.parametrize(("share", "is_the_map"), [("up", True), ("down", True), ("folded", False)])
def test_errors_tell_a_map_from_a_distribution(share: str, is_the_map: bool) -> None:
    exact = Exact(share)
    assert quantile_error(exact, DATA) < 0.01
    assert (map_error(exact, DATA) < 0.01) is is_the_map


def test_no_other_distribution_passes() -> None:
    assert quantile_error(Exact("up"), Gaussian(DATA.mean + DATA.std, DATA.std)) == pytest.approx(1, abs=0.01)


def test_the_figures_of_the_lectures_are_there() -> None:
    images = Path(__file__).parents[2] / "docs" / "images"
    assert all((images / name).is_file() for name in ("optimal_discriminator.png", "inverse_cdf.png"))
