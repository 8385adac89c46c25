from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from anomaly.config import Method, TrainingConfig
from anomaly.training.losses import discriminator_loss, encoder_loss, generator_loss
from anomaly.training.state import TrainingState, new_state
from anomaly.training.steps import bigan_step, gan_step
from tests.training.runs import CPU, network, training

Weights = dict[str, Tensor]
Step = Callable[[TrainingState, Tensor, Tensor, TrainingConfig], dict[str, Tensor]]
STEPS: dict[Method, Step] = {Method.BIGAN: bigan_step, Method.ANOGAN: gan_step}
each_method = pytest.mark.parametrize("method", list(Method))


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


X, Z = drawn(8, 1, 8, 8).tanh(), drawn(8, 2, seed=1)


def weights_of(state: TrainingState) -> Weights:
    return {name: p.detach().clone() for name, p in state.networks.named_parameters()}


def moved(before: Weights, after: Weights) -> set[str]:
    """The networks of which every weight has moved; of no network only some may."""
    networks = {name[0] for name in before}
    changed = {n: [not torch.equal(before[name], after[name]) for name in before if name[0] == n] for n in networks}
    assert all(all(flags) or not any(flags) for flags in changed.values())
    return {n for n, flags in changed.items() if all(flags)}


@each_method
def test_each_half_moves_its_own_networks_and_no_other(method: Method) -> None:
    config = training(method, spectral_norm=False)
    state = new_state(network(method), config, CPU)
    seen: dict[str, Weights] = {"start": weights_of(state)}
    state.optimizer_d.register_step_post_hook(lambda *_: seen.update({"after D": weights_of(state)}))
    state.optimizer_g.register_step_post_hook(lambda *_: seen.update({"after G": weights_of(state)}))
    STEPS[method](state, X, Z, config)
    assert list(seen) == ["start", "after D", "after G"]
    assert moved(seen["start"], seen["after D"]) == {"D"}
    assert moved(seen["after D"], seen["after G"]) == {"G", "E"}


@each_method
def test_the_discriminator_can_move_again_in_the_next_step(method: Method) -> None:
    config = training(method)
    state = new_state(network(method), config, CPU)
    STEPS[method](state, X, Z, config)
    assert all(p.requires_grad for p in state.networks.parameters())
    before = weights_of(state)
    STEPS[method](state, X, Z, config)
    assert moved(before, weights_of(state)) == {"D", "G", "E"}


@each_method
def test_the_discriminator_learns_to_tell_and_the_generator_to_fool_it(method: Method) -> None:
    """Each by its own half: the other's rate is as good as zero."""
    config = training(method, learning_rate=0.01, cycle_x=0.0, cycle_z=0.0)
    rates = {"d": [], "g": []}  # type: dict[str, list[float]]
    for half, curves in rates.items():
        state = new_state(network(method), config, CPU)
        still = state.optimizer_g if half == "d" else state.optimizer_d
        still.param_groups[0]["lr"] = 0.0
        curves += [STEPS[method](state, X, Z, config)[f"loss_{half}"].item() for _ in range(20)]
    assert rates["d"][-1] < rates["d"][0] - 0.3
    assert rates["g"][-1] < rates["g"][0] - 0.05


def test_curves_of_a_bigan_step_are_those_of_its_formulas() -> None:
    config = training(Method.BIGAN, spectral_norm=False, learning_rate=1e-12)
    state = new_state(network(Method.BIGAN), config, CPU)
    curves = bigan_step(state, X, Z, config)
    nets = state.networks
    with torch.no_grad():
        real, fake = nets.D(X, nets.encode(X)).logits, nets.D(nets.G(Z), Z).logits
        expected = {
            "loss_d": discriminator_loss(real, fake),
            "loss_g": generator_loss(fake) + encoder_loss(real),
            "d_real": real.sigmoid().mean(),
            "d_fake": fake.sigmoid().mean(),
            "cycle_x": (X - nets.G(nets.encode(X))).abs().mean(),
            "cycle_z": (Z - nets.encode(nets.G(Z))).square().mean(),
        }
    assert curves.keys() == expected.keys()
    for name, value in expected.items():
        assert curves[name].item() == pytest.approx(value.item(), rel=1e-4), name


def test_curves_of_a_gan_step_are_those_of_its_formulas() -> None:
    config = training(Method.ANOGAN, spectral_norm=False, learning_rate=1e-12)
    state = new_state(network(Method.ANOGAN), config, CPU)
    curves = gan_step(state, X, Z, config)
    nets = state.networks
    with torch.no_grad():
        real, fake = nets.D(X).logits, nets.D(nets.G(Z)).logits
        expected = {
            "loss_d": discriminator_loss(real, fake),
            "loss_g": generator_loss(fake),
            "d_real": real.sigmoid().mean(),
            "d_fake": fake.sigmoid().mean(),
            "cycle_z": (Z - nets.encode(nets.G(Z))).square().mean(),
        }
    assert curves.keys() == expected.keys()
    for name, value in expected.items():
        assert curves[name].item() == pytest.approx(value.item(), rel=1e-4), name


def test_an_encoder_beside_anogans_game_does_not_touch_it() -> None:
    """From the same G and D, with and without an encoder, the same G and D come to the bit."""
    config = training(Method.ANOGAN)
    with_encoder = new_state(network(Method.ANOGAN), config, CPU)
    without = new_state(network(Method.ANOGAN, encoder=False), config, CPU)
    without.networks.load_state_dict(
        {name: t for name, t in with_encoder.networks.state_dict().items() if not name.startswith("E.")}
    )
    for _ in range(5):
        assert "cycle_z" in gan_step(with_encoder, X, Z, config)
        assert "cycle_z" not in gan_step(without, X, Z, config)
    weights = with_encoder.networks.state_dict()
    for name, weight in without.networks.state_dict().items():
        assert torch.equal(weight, weights[name]), name


@pytest.mark.parametrize("name", ["cycle_x", "cycle_z"])
def test_the_cycle_terms_weigh_as_the_configuration_says(name: str) -> None:
    """A term of weight zero moves nothing; one of a great weight rules the step."""
    after = []
    for weight in (0.0, 1000.0):
        weights = {"cycle_x": 0.0, "cycle_z": 0.0} | {name: weight}
        config = training(Method.BIGAN, learning_rate=0.01).model_copy(update=weights)
        state = new_state(network(Method.BIGAN), config, CPU)
        after.append([bigan_step(state, X, Z, config)[name].item() for _ in range(20)])
    assert after[0][0] == after[1][0]
    assert after[1][-1] < 0.9 * after[0][-1]


@each_method
def test_bfloat16_gives_about_the_same_losses(method: Method) -> None:
    curves = []
    for precision in ("fp32", "bf16"):
        config = training(method, precision=precision)
        state = new_state(network(method), config, CPU)
        curves.append(STEPS[method](state, X, Z, config))
        assert all(p.dtype == torch.float32 for p in state.networks.parameters())
    for name, value in curves[0].items():
        assert curves[1][name].item() == pytest.approx(value.item(), rel=0.03), name
        assert curves[1][name].dtype == torch.float32
