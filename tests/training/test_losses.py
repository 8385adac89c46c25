import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomaly.config import Loss
from anomaly.training.losses import (
    cycle_x_loss,
    cycle_z_loss,
    discriminator_loss,
    encoder_loss,
    generator_loss,
    gradient_penalty,
    value,
)

NS = Loss.NON_SATURATING
PROBABILITIES = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6)


def logits(*probabilities: float) -> torch.Tensor:
    return torch.tensor([math.log(p / (1 - p)) for p in probabilities], dtype=torch.float64)


def test_by_hand() -> None:
    """D(x) = 0.7032 and D(G(z)) = 0.5022: −ln gives 0.35211 and 0.68876, −ln(1 − ·) gives 0.69756 for the latter."""
    real, fake = logits(0.7032), logits(0.5022)
    assert discriminator_loss(NS, real, fake).item() == pytest.approx(0.35211 + 0.69756, abs=1e-5)
    assert generator_loss(NS, fake).item() == pytest.approx(0.68876, abs=1e-5)
    assert generator_loss(NS, real).item() / math.log(10) == pytest.approx(0.15292, abs=1e-5)  # as −log10
    assert encoder_loss(NS, real).item() == pytest.approx(-math.log(1 - 0.7032))


@given(PROBABILITIES, PROBABILITIES)
def test_they_are_means_of_their_formulas(real: list[float], fake: list[float]) -> None:
    log_real = sum(math.log(p) for p in real) / len(real)
    log_not_fake = sum(math.log(1 - p) for p in fake) / len(fake)
    assert discriminator_loss(NS, logits(*real), logits(*fake)).item() == pytest.approx(-log_real - log_not_fake)
    assert generator_loss(NS, logits(*real)).item() == pytest.approx(-log_real)
    assert encoder_loss(NS, logits(*fake)).item() == pytest.approx(-log_not_fake)


@given(PROBABILITIES)
def test_the_minimax_form_is_the_logarithm_that_d_raises(fake: list[float]) -> None:
    log_not_fake = sum(math.log(1 - p) for p in fake) / len(fake)
    assert generator_loss(Loss.MINIMAX, logits(*fake)).item() == pytest.approx(log_not_fake)
    assert encoder_loss(Loss.MINIMAX, logits(*fake)).item() == pytest.approx(sum(map(math.log, fake)) / len(fake))


def test_the_notes_example_in_base_10_logarithms() -> None:
    """D's part of the fake, of the real, of both; and G's, in the minimax form (the notes' numbers)."""
    real, fake = logits(0.7032), logits(0.5022)
    ln10 = math.log(10)
    assert generator_loss(Loss.MINIMAX, fake).item() / ln10 == pytest.approx(-0.30295, abs=1e-5)
    assert -generator_loss(NS, real).item() / ln10 == pytest.approx(-0.15292, abs=1e-5)
    assert value(Loss.MINIMAX, real, fake).item() / ln10 == pytest.approx(-0.45587, abs=1e-5)


def test_critics_by_hand() -> None:
    real, fake = torch.tensor([3.0, 0.5]), torch.tensor([-2.0, 1.0])
    assert discriminator_loss(Loss.WASSERSTEIN, real, fake).item() == pytest.approx(-0.5 - 1.75)
    assert discriminator_loss(Loss.HINGE, real, fake).item() == pytest.approx((0 + 0.5) / 2 + (0 + 2) / 2)
    for loss in (Loss.WASSERSTEIN, Loss.HINGE):
        assert generator_loss(loss, fake).item() == pytest.approx(0.5)
        assert encoder_loss(loss, real).item() == pytest.approx(1.75)
        assert value(loss, real, fake).item() == pytest.approx(1.75 + 0.5)


@pytest.mark.parametrize("loss", list(Loss))
def test_what_d_lowers_raises_the_value_and_what_g_lowers_is_ds_belief_in_reals(loss: Loss) -> None:
    real, fake = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    by_d = torch.autograd.grad(discriminator_loss(loss, real, fake), (real, fake))
    assert by_d[0] < 0 < by_d[1]
    assert torch.autograd.grad(generator_loss(loss, fake), fake)[0] < 0
    assert torch.autograd.grad(encoder_loss(loss, real), real)[0] > 0


def test_the_gradient_penalty_of_a_linear_critic_is_that_of_its_slope() -> None:
    """D(x, z) = 3·x₁ + 4·z₁ has the slope 5 everywhere: (5 − 1)²; one of slope 1 is not penalised."""
    reals, fakes = (torch.randn(6, 1, 2, 2), torch.randn(6, 3)), (torch.randn(6, 1, 2, 2), torch.randn(6, 3))
    for slope, penalty in ((1.0, 16.0), (0.2, 0.0)):

        def critic(x: torch.Tensor, z: torch.Tensor, slope: float = slope) -> torch.Tensor:
            return slope * (3 * x[:, 0, 0, 0] + 4 * z[:, 0])

        assert gradient_penalty(critic, reals, fakes).item() == pytest.approx(penalty, abs=1e-6)


def test_the_gradient_penalty_is_between_reals_and_fakes() -> None:
    """D(x) = x²/2 has the slope |x|; between 2 and 4 it is never under 1, nor over 3."""
    real, fake = torch.full((500, 1), 2.0), torch.full((500, 1), 4.0)
    penalty = gradient_penalty(lambda x: x.square().sum(dim=1) / 2, (real,), (fake,)).item()
    assert penalty == pytest.approx(13 / 3, rel=0.1)  # ∫₂⁴ (x − 1)² dx / 2


def test_at_the_optimum_the_value_of_the_game_is_minus_log_4() -> None:
    undecided = torch.zeros(5)
    assert -discriminator_loss(NS, undecided, undecided).item() == pytest.approx(-math.log(4))


@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_they_stay_finite_with_a_gradient_where_a_rounded_sigmoid_is_0_or_1(size: float) -> None:
    logit = torch.tensor([-size], requires_grad=True)
    loss = generator_loss(NS, logit)
    assert loss.item() == pytest.approx(size)
    assert torch.autograd.grad(loss, logit)[0].item() == pytest.approx(-1)
    assert discriminator_loss(NS, torch.tensor([-size]), torch.tensor([size])).item() == pytest.approx(2 * size)
    assert encoder_loss(NS, torch.tensor([size])).item() == pytest.approx(size)


def test_cycle_terms_are_means() -> None:
    x = torch.zeros(2, 1, 2, 2)
    assert cycle_x_loss(x, torch.tensor([[-4.0, 0.0], [0.0, 0.0]]).expand_as(x)).item() == pytest.approx(1)
    z = torch.zeros(2, 2)
    assert cycle_z_loss(z, torch.tensor([[3.0, 1.0], [0.0, 0.0]])).item() == pytest.approx((9 + 1) / 4)
