import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomaly.training.losses import cycle_x_loss, cycle_z_loss, discriminator_loss, encoder_loss, generator_loss

PROBABILITIES = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6)


def logits(*probabilities: float) -> torch.Tensor:
    return torch.tensor([math.log(p / (1 - p)) for p in probabilities], dtype=torch.float64)


def test_by_hand() -> None:
    """D(x) = 0.7032 and D(G(z)) = 0.5022: −ln gives 0.35211 and 0.68876, −ln(1 − ·) gives 0.69756 for the latter."""
    real, fake = logits(0.7032), logits(0.5022)
    assert discriminator_loss(real, fake).item() == pytest.approx(0.35211 + 0.69756, abs=1e-5)
    assert generator_loss(fake).item() == pytest.approx(0.68876, abs=1e-5)
    assert generator_loss(real).item() / math.log(10) == pytest.approx(0.15292, abs=1e-5)  # as −log10
    assert encoder_loss(real).item() == pytest.approx(-math.log(1 - 0.7032))


@given(PROBABILITIES, PROBABILITIES)
def test_they_are_means_of_their_formulas(real: list[float], fake: list[float]) -> None:
    log_real = sum(math.log(p) for p in real) / len(real)
    log_not_fake = sum(math.log(1 - p) for p in fake) / len(fake)
    assert discriminator_loss(logits(*real), logits(*fake)).item() == pytest.approx(-log_real - log_not_fake)
    assert generator_loss(logits(*real)).item() == pytest.approx(-log_real)
    assert encoder_loss(logits(*fake)).item() == pytest.approx(-log_not_fake)


def test_at_the_optimum_the_value_of_the_game_is_minus_log_4() -> None:
    undecided = torch.zeros(5)
    assert -discriminator_loss(undecided, undecided).item() == pytest.approx(-math.log(4))


@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_they_stay_finite_with_a_gradient_where_a_rounded_sigmoid_is_0_or_1(size: float) -> None:
    logit = torch.tensor([-size], requires_grad=True)
    loss = generator_loss(logit)
    assert loss.item() == pytest.approx(size)
    assert torch.autograd.grad(loss, logit)[0].item() == pytest.approx(-1)
    assert discriminator_loss(torch.tensor([-size]), torch.tensor([size])).item() == pytest.approx(2 * size)
    assert encoder_loss(torch.tensor([size])).item() == pytest.approx(size)


def test_cycle_terms_are_means() -> None:
    x = torch.zeros(2, 1, 2, 2)
    assert cycle_x_loss(x, torch.tensor([[-4.0, 0.0], [0.0, 0.0]]).expand_as(x)).item() == pytest.approx(1)
    z = torch.zeros(2, 2)
    assert cycle_z_loss(z, torch.tensor([[3.0, 1.0], [0.0, 0.0]])).item() == pytest.approx((9 + 1) / 4)
