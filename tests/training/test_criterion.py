import math

import pytest
import torch

from anomaly.config import Method
from anomaly.networks import build
from anomaly.training.criterion import energy_distance, stop_criterion
from tests.training.runs import network


def test_the_energy_distance_by_hand() -> None:
    """{0, 2} and {1, 5}: E‖x − y‖ = (1 + 5 + 1 + 3)/4, within 2 and 4."""
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]])
    assert energy_distance(x, y) == pytest.approx(2 * 2.5 - 2 - 4)


def test_the_energy_distance_tells_place_and_spread() -> None:
    draws = torch.randn(4, 2000, 2, generator=torch.Generator().manual_seed(0))
    same = energy_distance(draws[0], draws[1])
    assert abs(same) < 0.01
    assert energy_distance(draws[0], draws[1] + 0.5) > 0.1
    assert energy_distance(draws[0], 0.1 * draws[1]) > 0.1  # a collapsed G, in the right place


def test_with_an_encoder_it_is_the_mean_residual_and_leaves_the_networks_alone() -> None:
    networks = build(network(Method.BIGAN)).train()
    x, z = torch.randn(6, 1, 8, 8).tanh(), torch.randn(6, 2)
    before = {name: t.clone() for name, t in networks.state_dict().items()}
    found = stop_criterion(networks, x, z)
    assert networks.training
    assert all(torch.equal(before[name], t) for name, t in networks.state_dict().items())
    with torch.no_grad():
        networks.eval()
        assert found == pytest.approx((x - networks.G(networks.encode(x))).abs().mean().item())


def test_without_one_it_is_the_distance_of_gs_samples() -> None:
    networks = build(network(Method.ANOGAN, encoder=False)).eval()
    z = torch.randn(8, 2)
    with torch.no_grad():
        x = networks.G(z)
    assert stop_criterion(networks, x, z) < stop_criterion(networks, -x.sign(), z)
    assert math.isfinite(stop_criterion(networks, x, z))
