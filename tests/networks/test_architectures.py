"""The networks of the lectures at their full size, and those small enough to count by hand."""

import pytest
import torch
from torch import nn

from anomaly.config import (
    Architecture,
    Method,
    NetworkPlan,
    Prior,
    TrainingConfig,
    default_feature_layer,
    feature_names,
    map_names,
)
from anomaly.networks import Networks, build, draw
from anomaly.networks.mlp import MLPDiscriminator, MLPGenerator
from anomaly.runtime import seeded_rng
from anomaly.training.state import new_state
from anomaly.training.steps import game_step

CPU = torch.device("cpu")
PLAIN = {"joint": False, "encoder": False}
DCGAN = NetworkPlan.model_validate(
    {
        "size": 64,
        "channels": 3,
        "latent_dim": 100,
        "width": 128,
        "max_width": 1024,
        "discriminator_batch_norm": True,
        **PLAIN,
    }
)
MLP = NetworkPlan.model_validate({"architecture": "mlp", "size": 28, "latent_dim": 100, **PLAIN})
LENET = NetworkPlan.model_validate({"architecture": "lenet", **PLAIN})


def linear_shapes(network: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]


@pytest.mark.parametrize("config", [DCGAN, MLP, LENET], ids=["DCGAN", "MLP", "LeNet-5"])
def test_full_size_networks_take_a_step(config: NetworkPlan) -> None:
    training = TrainingConfig(method=Method.ANOGAN, batch_size=2, spectral_norm=False)
    state = new_state(config, training, CPU)
    x = draw(Prior.UNIFORM, (2, config.channels, config.size, config.size), seeded_rng("x"))
    curves = game_step(state, [(x, draw(config.prior, (2, config.latent_dim), seeded_rng("z")))], training)
    assert all(curve.isfinite() for curve in curves.values())


def test_the_dcgan_of_the_notes() -> None:
    networks = Networks(DCGAN)
    shapes = [tuple(m.weight.shape) for m in networks.G.modules() if isinstance(m, nn.Linear | nn.ConvTranspose2d)]
    assert shapes == [(1024 * 4 * 4, 100), (1024, 512, 4, 4), (512, 256, 4, 4), (256, 128, 4, 4), (128, 3, 4, 4)]
    assert not [m for m in networks.modules() if isinstance(m, nn.AvgPool2d | nn.MaxPool2d)]
    norms = [m.num_features for m in next(networks.discriminators()).modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms == [256, 512, 1024]
    assert {m.negative_slope for m in networks.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}


def test_the_mlp_of_the_notes() -> None:
    networks = Networks(MLP)
    D = next(networks.discriminators())
    assert linear_shapes(D) == [(784, 1024), (1024, 256), (256, 1)]
    assert linear_shapes(networks.G) == [(100, 256), (256, 1024), (1024, 784)]
    assert [m.p for m in networks.modules() if isinstance(m, nn.Dropout)] == [0.2, 0.2]
    assert feature_names(MLP) == ["hidden1", "hidden2"]
    assert default_feature_layer(MLP) == "hidden2"
    assert map_names(MLP) == []


def test_the_small_pair_of_the_notes_loss_example() -> None:
    """G 2-5-4, D 4-3-1, LeakyReLU(0.2) and tanh."""
    small = {"architecture": "mlp", "size": 2, "latent_dim": 2, "leak": 0.2, "dropout": 0.0, **PLAIN}
    G = MLPGenerator(NetworkPlan.model_validate({**small, "hidden": (5,)}))
    D = MLPDiscriminator(NetworkPlan.model_validate({**small, "hidden": (3,)}), 4)
    assert (linear_shapes(G), linear_shapes(D)) == ([(2, 5), (5, 4)], [(4, 3), (3, 1)])
    x = G(torch.randn(7, 2))
    assert x.shape == (7, 1, 2, 2)
    assert D(x).logits.shape == (7,)
    assert [m.negative_slope for m in (*G.modules(), *D.modules()) if isinstance(m, nn.LeakyReLU)] == [0.2, 0.2]


def test_lenet_5_has_the_papers_layers() -> None:
    features = Networks(LENET).judge(torch.zeros(2, 1, 32, 32)).features
    assert {name: tuple(f.shape[1:]) for name, f in features.items()} == {
        "C1": (6, 28, 28),
        "S2": (6, 14, 14),
        "C3": (16, 10, 10),
        "S4": (16, 5, 5),
        "C5": (120,),
        "F6": (84,),
    }
    D = next(Networks(LENET).discriminators())
    num_weights = {
        name: sum(p.numel() for p in layer.parameters()) for name, layer in D.get_submodule("layers").named_children()
    }
    assert num_weights == {"C1": 156, "S2": 12, "C3": 2416, "S4": 32, "C5": 48120, "F6": 10164}
    assert default_feature_layer(LENET) == "S4"


def test_alad_judges_cycles_by_networks_of_their_own() -> None:
    for architecture in (Architecture.DCGAN, Architecture.MLP):
        config = NetworkPlan(architecture=architecture, cycle_discriminators=True, width=4, max_width=8)
        networks = build(config)
        assert len(list(networks.discriminators())) == 3
        assert networks.D_xx is not None
        assert networks.D_zz is not None
        x, z = torch.zeros(2, 2, 32, 32), torch.zeros(2, 32)
        assert list(networks.D_xx(x).features) == feature_names(config)
        assert networks.D_zz(z).logits.shape == (2,)


def test_priors_have_their_range_and_spread() -> None:
    normal, uniform = (draw(prior, (4000, 5), seeded_rng(1)) for prior in (Prior.GAUSSIAN, Prior.UNIFORM))
    assert normal.std().item() == pytest.approx(1, abs=0.02)
    assert normal.abs().max() > 3
    assert uniform.std().item() == pytest.approx(3**-0.5, abs=0.01)
    assert 0.99 < uniform.abs().max() <= 1


def test_an_encoder_for_a_uniform_prior_stays_within_it() -> None:
    for architecture in (Architecture.DCGAN, Architecture.MLP):
        config = NetworkPlan(architecture=architecture, prior=Prior.UNIFORM, width=4, max_width=8)
        assert build(config).encode(1000 * torch.randn(4, 1, 32, 32)).abs().max() <= 1
