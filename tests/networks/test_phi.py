"""φ beside G, E and D: its features are the pretrained network's, standardised, and nothing ever changes it."""

import pytest
import torch
from torch import Tensor

from anomaly.config import NetworkPlan
from anomaly.config.layers import PHI_LAYERS
from anomaly.networks import Networks, build, constrain_spectral_norm, copy_sharing_frozen, is_frozen
from anomaly.networks.phi import PhiFeatures
from anomaly.networks.pretrained import load_pretrained


def plan(channels: int = 1, **changes: object) -> NetworkPlan:
    fields = {"size": 32, "channels": channels, "latent_dim": 3, "width": 4, "max_width": 8, "phi": True}
    return NetworkPlan.model_validate(fields | changes)


def images(n: int, channels: int, *, seed: int = 0) -> Tensor:
    return torch.rand(n, channels, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def built(of: NetworkPlan) -> Networks:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(of)


@pytest.mark.parametrize("channels", [1, 3])
def test_its_features_are_the_maps_of_the_pretrained_network_by_the_deviation_of_each_channel(channels: int) -> None:
    networks, normals, x = built(plan(channels)), images(7, channels, seed=1), images(2, channels)
    assert networks.phi is not None
    networks.phi.standardise([normals[:3], normals[3:]])
    with torch.no_grad():
        found, of_normals, of_x = networks.phi_features(x), load_pretrained()(normals), load_pretrained()(x)
    assert tuple(found) == PHI_LAYERS
    for f, stride in zip(found.values(), (4, 8, 16), strict=True):
        deviation = of_normals[stride].transpose(0, 1).flatten(1).std(dim=1, correction=0)
        assert deviation.min() > 0.2 * deviation.square().mean().sqrt()  # none of these is raised to the least
        torch.testing.assert_close(f, of_x[stride] / deviation[:, None, None], rtol=1e-4, atol=1e-5)


def test_a_channel_in_which_normals_agree_is_not_magnified_without_end() -> None:
    phi = PhiFeatures()
    phi.load()
    flat = torch.zeros(1, 1, 64, 64)
    phi.standardise([torch.zeros(3, 1, 64, 64), images(1, 1).repeat(1, 1, 2, 2)])
    for spread in (phi.get_buffer(name) for name in ("spread_4", "spread_8", "spread_16")):
        assert spread.min() >= 0.0999 * spread.square().mean().sqrt()
    phi.network.requires_grad_(False)
    for weight in phi.network.state_dict().values():
        weight.zero_()
    phi.standardise([flat])
    assert all(bool(f.isfinite().all()) for f in phi(flat).values())


def test_a_layer_alone_is_the_same_as_beside_the_others_and_d_has_its_own() -> None:
    networks, x, z = built(plan()).eval(), images(2, 1), torch.zeros(2, 3)
    with torch.no_grad():
        together = networks.phi_features(x)
        for layer in PHI_LAYERS:
            assert torch.equal(networks.features_at(layer, x, z), together[layer])
        assert torch.equal(networks.features_at("joint", x, z), networks.judge(x, z).features["joint"])
    assert built(plan(phi=False)).phi_features(x) == {}


def test_a_gradient_passes_to_the_image_and_none_stays() -> None:
    networks, x = built(plan()).requires_grad_(True), images(2, 1).requires_grad_(True)
    before = {name: t.clone() for name, t in networks.state_dict().items() if name.startswith("phi.")}
    (gradient,) = torch.autograd.grad(networks.features_at("phi_8", x).square().sum(), x)
    assert (gradient.abs().sum(dim=(1, 2, 3)) > 0).all()
    constrain_spectral_norm(networks)
    for name, t in networks.state_dict(keep_vars=True).items():
        if name.startswith("phi."):
            assert not t.requires_grad
            assert torch.equal(t, before[name])


def test_it_is_frozen_and_copies_share_it() -> None:
    networks = built(plan())
    assert {name for name, frozen in is_frozen(networks).items() if frozen} == {
        name for name in networks.state_dict() if name.startswith("phi.")
    }
    assert copy_sharing_frozen(networks).phi is networks.phi
    assert not [name for name, _ in networks.named_parameters() if name.startswith("phi.")]


def test_the_initial_weights_of_the_others_are_those_without_it() -> None:
    with torch.random.fork_rng(devices=[]):
        states = []
        for phi in (True, False):
            torch.manual_seed(3)
            states.append((build(plan(phi=phi)).state_dict(), torch.rand(1)))
    (with_phi, after), (without, after_without) = states
    assert all(torch.equal(with_phi[name], weight) for name, weight in without.items())
    assert torch.equal(after, after_without)
