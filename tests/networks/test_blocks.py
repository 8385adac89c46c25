import copy

import pytest
import torch
from torch import nn

from anomaly.config import NetworkPlan
from anomaly.networks import Discriminator, build, constrain_spectral_norm, fold_batch_norm, fold_spectral_norm
from anomaly.networks.blocks import widths

CONFIG = NetworkPlan(size=8, latent_dim=3, width=4, max_width=8)


def discriminator() -> Discriminator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        D = build(CONFIG).D
    assert isinstance(D, Discriminator)
    return D


def push(D: Discriminator, num_steps: int) -> None:
    """Move the logits up as hard as plain gradient ascent can."""
    optimizer = torch.optim.SGD(D.parameters(), lr=0.1)
    x, z = torch.ones(8, 1, 8, 8), torch.ones(8, 3)
    for _ in range(num_steps):
        optimizer.zero_grad()
        (-D(x, z).logits.mean()).backward()
        optimizer.step()


def largest_singular_values(D: Discriminator) -> list[float]:
    layers = [module for module in D.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() for layer in layers]


def test_spectral_norm_holds_every_weight_of_the_discriminator_near_one() -> None:
    free, held = discriminator(), discriminator()
    constrain_spectral_norm(held)
    push(free, 20)
    push(held, 20)
    assert len(largest_singular_values(held)) == 4  # conv1, the embedding of z, joint, and the logit
    assert largest_singular_values(held) == pytest.approx([1.0] * 4, abs=0.1)
    assert max(largest_singular_values(free)) > 3


def test_folding_keeps_the_outputs_and_leaves_plain_weights() -> None:
    D = discriminator()
    constrain_spectral_norm(D)
    push(D, 3)
    D.eval()
    x, z = torch.linspace(-1, 1, 5 * 64).view(5, 1, 8, 8), torch.linspace(-2, 2, 15).view(5, 3)
    with torch.no_grad():
        before = D(x, z).logits
        fold_spectral_norm(D)
        after = D(x, z).logits
    assert torch.equal(before, after)
    assert D.state_dict().keys() == discriminator().state_dict().keys()
    fresh = discriminator()
    fresh.load_state_dict(D.state_dict())
    assert torch.equal(fresh(x, z).logits, after)


def test_folding_plain_networks_does_nothing() -> None:
    D = discriminator()
    plain = copy.deepcopy(D.state_dict())
    fold_spectral_norm(D)
    assert all(torch.equal(weight, plain[name]) for name, weight in D.state_dict().items())


@pytest.mark.parametrize(
    ("size", "expected"), [(8, [4]), (16, [4, 8]), (32, [4, 8, 12]), (64, [4, 8, 12, 12]), (256, [4, 8, *[12] * 4])]
)
def test_widths_double_down_to_four_by_four_and_stop_at_the_limit(size: int, expected: list[int]) -> None:
    assert widths(size, 4, 12) == expected


def test_folding_batch_norm_keeps_what_the_networks_make_in_evaluation() -> None:
    config = CONFIG.model_copy(update={"size": 32, "max_width": 16})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = build(config)
        for _ in range(5):  # so that the batch statistics are not those of the beginning
            networks.encode(networks.G(torch.randn(16, 3)) + torch.rand(16, 1, 32, 32))
        z = torch.randn(4, 3)
    networks.eval().requires_grad_(False)
    x_before = networks.G(z)
    z_before = networks.encode(x_before)
    fold_batch_norm(networks)
    torch.testing.assert_close(networks.G(z), x_before)
    torch.testing.assert_close(networks.encode(x_before), z_before)
    left = [name for name, module in networks.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert left == ["G.project.2"]  # after a reshape there is no convolution to fold it into
