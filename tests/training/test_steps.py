from typing import Any

import pytest
import torch
from torch import Tensor

from anomaly.config import Loss, Method, TrainingConfig
from anomaly.training.losses import discriminator_loss, encoder_loss, generator_loss, value
from anomaly.training.state import TrainingState, new_state
from anomaly.training.steps import autoencoder_step, encoder_step, game_step
from tests.training.runs import CPU, network, training

Weights = dict[str, Tensor]
GAMES = (Method.BIGAN, Method.ANOGAN, Method.ALAD)
each_game = pytest.mark.parametrize("method", GAMES)
NS = Loss.NON_SATURATING


def play(state: TrainingState, x: Tensor, z: Tensor, config: TrainingConfig) -> dict[str, Tensor]:
    return game_step(state, [(x, z)], config)


def optimizer_d(state: TrainingState) -> torch.optim.Optimizer:
    assert state.optimizer_d is not None
    return state.optimizer_d


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


X, Z = drawn(8, 1, 8, 8).tanh(), drawn(8, 2, seed=1)


def weights_of(state: TrainingState) -> Weights:
    return {name: p.detach().clone() for name, p in state.networks.named_parameters()}


def moved(before: Weights, after: Weights) -> set[str]:
    """The networks of which every weight has moved; of no network only some may."""
    networks = {name.split(".")[0] for name in before}
    changed = {
        n: [not torch.equal(before[name], after[name]) for name in before if name.split(".")[0] == n] for n in networks
    }
    assert all(all(flags) or not any(flags) for flags in changed.values())
    return {n for n, flags in changed.items() if all(flags)}


def judges(method: Method) -> set[str]:
    return {"D", "D_xx", "D_zz"} if method is Method.ALAD else {"D"}


@each_game
def test_each_half_moves_its_own_networks_and_no_other(method: Method) -> None:
    config = training(method, spectral_norm=False)
    state = new_state(network(method), config, CPU)
    seen: dict[str, Weights] = {"start": weights_of(state)}
    optimizer_d(state).register_step_post_hook(lambda *_: seen.update({"after D": weights_of(state)}))
    state.optimizer_g.register_step_post_hook(lambda *_: seen.update({"after G": weights_of(state)}))
    play(state, X, Z, config)
    assert list(seen) == ["start", "after D", "after G"]
    assert moved(seen["start"], seen["after D"]) == judges(method)
    assert moved(seen["after D"], seen["after G"]) == {"G", "E"}


@each_game
def test_the_discriminator_can_move_again_in_the_next_step(method: Method) -> None:
    config = training(method)
    state = new_state(network(method), config, CPU)
    play(state, X, Z, config)
    assert all(p.requires_grad for p in state.networks.parameters())
    before = weights_of(state)
    play(state, X, Z, config)
    assert moved(before, weights_of(state)) == {"G", "E"} | judges(method)


@each_game
def test_the_discriminator_learns_to_tell_and_the_generator_to_fool_it(method: Method) -> None:
    """Each by its own half: the other's rate is as good as zero."""
    config = training(method, learning_rate=0.01, cycle_x=0.0, cycle_z=0.0)
    rates = {"d": [], "g": []}  # type: dict[str, list[float]]
    for half, curves in rates.items():
        state = new_state(network(method), config, CPU)
        still = state.optimizer_g if half == "d" else optimizer_d(state)
        still.param_groups[0]["lr"] = 0.0
        curves += [play(state, X, Z, config)[f"loss_{half}"].item() for _ in range(20)]
    assert rates["d"][-1] < rates["d"][0] - 0.3
    assert rates["g"][-1] < rates["g"][0] - 0.05


def test_without_the_games_weight_g_and_e_learn_by_the_cycles_alone_and_d_still_learns() -> None:
    config = training(Method.BIGAN, adversarial=0.0, spectral_norm=False)
    state, other = (new_state(network(Method.BIGAN), config, CPU) for _ in range(2))
    assert other.networks.D is not None
    with torch.no_grad():
        for weight in other.networks.D.parameters():
            weight.neg_()  # G and E must not notice what D thinks
    before = weights_of(state)
    for each in (state, other):
        play(each, X, Z, config)
    after, elsewhere = weights_of(state), weights_of(other)
    assert moved(before, after) == {"G", "E", "D"}
    assert all(torch.equal(after[name], elsewhere[name]) for name in after if not name.startswith("D."))


def test_curves_of_a_bigan_step_are_those_of_its_formulas() -> None:
    config = training(Method.BIGAN, spectral_norm=False, learning_rate=1e-12)
    state = new_state(network(Method.BIGAN), config, CPU)
    curves = play(state, X, Z, config)
    nets = state.networks
    with torch.no_grad():
        real, fake = nets.judge(X, nets.encode(X)).logits, nets.judge(nets.G(Z), Z).logits
        expected = {
            "loss_d": discriminator_loss(NS, real, fake),
            "loss_g": generator_loss(NS, fake) + encoder_loss(NS, real),
            "value": value(NS, real, fake),
            "accuracy": torch.cat([real > 0, fake <= 0]).float().mean(),
            "diversity": torch.pdist(nets.G(Z).flatten(1)).mean() / torch.pdist(X.flatten(1)).mean(),
            "d_real": real.sigmoid().mean(),
            "d_fake": fake.sigmoid().mean(),
            "cycle_x": (X - nets.G(nets.encode(X))).abs().mean(),
            "cycle_z": (Z - nets.encode(nets.G(Z))).square().mean(),
        }
    assert curves.keys() == expected.keys() | {"grad_d", "grad_g"}
    for name, curve in expected.items():
        assert curves[name].item() == pytest.approx(curve.item(), rel=1e-4), name


def test_curves_of_a_gan_step_are_those_of_its_formulas() -> None:
    config = training(Method.ANOGAN, spectral_norm=False, learning_rate=1e-12)
    state = new_state(network(Method.ANOGAN), config, CPU)
    curves = play(state, X, Z, config)
    nets = state.networks
    with torch.no_grad():
        real, fake = nets.judge(X).logits, nets.judge(nets.G(Z)).logits
        expected = {
            "loss_d": discriminator_loss(NS, real, fake),
            "loss_g": generator_loss(NS, fake),
            "value": value(NS, real, fake),
            "accuracy": torch.cat([real > 0, fake <= 0]).float().mean(),
            "diversity": torch.pdist(nets.G(Z).flatten(1)).mean() / torch.pdist(X.flatten(1)).mean(),
            "d_real": real.sigmoid().mean(),
            "d_fake": fake.sigmoid().mean(),
            "cycle_z": (Z - nets.encode(nets.G(Z))).square().mean(),
        }
    assert curves.keys() == expected.keys() | {"grad_d", "grad_g"}
    for name, curve in expected.items():
        assert curves[name].item() == pytest.approx(curve.item(), rel=1e-4), name


def test_an_encoder_beside_anogans_game_does_not_touch_it() -> None:
    """From the same G and D, with and without an encoder, the same G and D come to the bit."""
    config = training(Method.ANOGAN)
    with_encoder = new_state(network(Method.ANOGAN), config, CPU)
    without = new_state(network(Method.ANOGAN, encoder=False), config, CPU)
    without.networks.load_state_dict(
        {name: t for name, t in with_encoder.networks.state_dict().items() if not name.startswith("E.")}
    )
    for _ in range(5):
        assert "cycle_z" in play(with_encoder, X, Z, config)
        assert "cycle_z" not in play(without, X, Z, config)
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
        after.append([play(state, X, Z, config)[name].item() for _ in range(20)])
    assert after[0][0] == after[1][0]
    assert after[1][-1] < 0.9 * after[0][-1]


@each_game
@pytest.mark.parametrize("changes", [{}, {"loss": "wasserstein", "gradient_penalty": 10.0}], ids=["", "penalised"])
def test_bfloat16_gives_about_the_same_losses(method: Method, changes: dict[str, Any]) -> None:
    """With a penalty, too, where E's latents are in bfloat16 and the images are not."""
    curves = []
    for precision in ("fp32", "bf16"):
        config = training(method, precision=precision, **changes)
        state = new_state(network(method), config, CPU)
        torch.manual_seed(0)  # of the points between reals and fakes
        curves.append(play(state, X, Z, config))
        assert all(p.dtype == torch.float32 for p in state.networks.parameters())
    for name, curve in curves[0].items():
        assert curves[1][name].item() == pytest.approx(curve.item(), rel=0.2 if name.startswith("grad") else 0.03), name
        assert curves[1][name].dtype == torch.float32


def test_algorithm_1_moves_d_and_then_g_as_often_as_told() -> None:
    """Each move of D but the last on a batch of its own; G's first move answers D's last one on the same."""
    config = training(Method.BIGAN, d_steps=3, g_steps=2)
    state = new_state(network(Method.BIGAN), config, CPU)
    moves: list[str] = []
    optimizer_d(state).register_step_post_hook(lambda *_: moves.append("D"))
    state.optimizer_g.register_step_post_hook(lambda *_: moves.append("G"))
    game_step(state, [(X, Z)] * 4, config)
    assert moves == ["D", "D", "D", "G", "G"]


def test_clipped_weights_stay_in_their_box() -> None:
    config = training(Method.ANOGAN, loss="wasserstein", clip_weights=0.01, spectral_norm=False, learning_rate=0.1)
    state = new_state(network(Method.ANOGAN), config, CPU)
    play(state, X, Z, config)
    sizes = [p.abs().max().item() for p in next(state.networks.discriminators()).parameters()]
    assert max(sizes) == pytest.approx(0.01)
    assert max(p.abs().max().item() for p in state.networks.G.parameters()) > 0.01


def test_batch_norm_in_d_sees_reals_and_fakes_apart() -> None:
    """One batch of both would have statistics of neither: its running mean would move once, by the mean of both."""
    config = training(Method.ANOGAN, spectral_norm=False, learning_rate=1e-12)
    plain = network(Method.ANOGAN, encoder=False).model_copy(update={"discriminator_batch_norm": True, "size": 16})
    state = new_state(plain, config, CPU)
    play(state, drawn(8, 1, 16, 16).tanh(), Z, config)
    counts = [b.item() for name, b in state.networks.named_buffers() if name.startswith("D.") and "tracked" in name]
    assert counts == [3]  # the reals, the fakes, and the fakes again for G


def test_the_autoencoder_learns_to_reconstruct() -> None:
    config = training(Method.AUTOENCODER, learning_rate=0.01)
    state = new_state(network(Method.AUTOENCODER), config, CPU)
    losses = [autoencoder_step(state, X, config)["cycle_x"].item() for _ in range(60)]
    assert losses[-1] < 0.7 * losses[0]


def test_f_anogans_encoder_learns_while_g_and_d_rest() -> None:
    config = training(Method.F_ANOGAN, loss="wasserstein", learning_rate=0.01)
    state = new_state(network(Method.F_ANOGAN), config, CPU)
    before = weights_of(state)
    x = state.networks.G(drawn(8, 2, seed=3)).detach()  # what this G can draw at all
    statistics = [b.clone() for b in state.networks.G.buffers()]
    losses = [encoder_step(state, x, config)["izi_f"].item() for _ in range(200)]
    assert moved(before, weights_of(state)) == {"E"}
    assert all(torch.equal(a, b) for a, b in zip(statistics, state.networks.G.buffers(), strict=True))
    assert losses[-1] < 0.5 * losses[0]
