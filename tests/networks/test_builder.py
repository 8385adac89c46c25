from itertools import product

import pytest
import torch

from anomaly.config import NetworkPlan, feature_names
from anomaly.networks import Networks, build

SIDES = (8, 16, 32, 64, 128, 256)
MAX_BYTES = 2_000_000


def tiny(size: int = 8, channels: int = 1, *, joint: bool = True) -> NetworkPlan:
    return NetworkPlan.model_validate(
        {"size": size, "channels": channels, "latent_dim": 3, "width": 4, "max_width": 8, "joint": joint}
    )


def images(n: int, config: NetworkPlan, *, seed: int = 0) -> torch.Tensor:
    shape = (n, config.channels, config.size, config.size)
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def latents(n: int) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(n))


def built(config: NetworkPlan, *, seed: int = 0) -> Networks:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(config)


@pytest.mark.parametrize(("size", "channels"), [*product(SIDES, (1, 3))])
def test_every_side_and_channel_count_has_its_shapes(size: int, channels: int) -> None:
    config = tiny(size, channels)
    networks = built(config).eval()
    with torch.no_grad():
        x = networks.G(10 * latents(2))
        z = networks.encode(x)
        judgement = networks.judge(x, z)
    assert x.shape == (2, channels, size, size)
    assert -1 <= x.min() <= x.max() <= 1
    assert z.shape == (2, 3)
    assert judgement.logits.shape == (2,)


@pytest.mark.parametrize(("size", "joint"), [*product(SIDES, (False, True))])
def test_features_are_named_and_shaped(size: int, joint: bool) -> None:
    config = tiny(size, joint=joint)
    networks = built(config).eval()
    with torch.no_grad():
        features = networks.judge(images(2, config), latents(2) if joint else None).features
    sides = [size >> level for level in range(1, size.bit_length() - 2)]
    expected = {f"conv{i}": (2, min(4 << (i - 1), 8), side, side) for i, side in enumerate(sides, start=1)}
    if joint:
        expected["joint"] = (2, expected[f"conv{len(sides)}"][1], 4, 4)
    assert {name: tuple(f.shape) for name, f in features.items()} == expected
    assert feature_names(config) == list(features)


def test_generated_images_reach_beyond_zero_on_both_sides() -> None:
    """Tanh, not sigmoid or ReLU: images lie in [-1, 1]."""
    config = tiny()
    x = built(config).train().G(100 * latents(64))
    assert x.min() < 0 < x.max()


@pytest.mark.parametrize("joint", [False, True])
def test_in_evaluation_an_images_result_does_not_depend_on_its_batch_mates(joint: bool) -> None:
    config = tiny(joint=joint)
    networks = built(config)
    networks.train()
    networks.G(latents(32))  # so that the batch statistics are not those of the beginning
    networks.encode(images(32, config, seed=1))
    networks.eval()
    x, z = images(5, config), latents(5)
    others = torch.cat([x[2:3], 1 - images(3, config, seed=2)])
    with torch.no_grad():
        torch.testing.assert_close(networks.G(z[2:3]), networks.G(z)[2:3])
        torch.testing.assert_close(networks.encode(others)[:1], networks.encode(x)[2:3])
        alone, together = networks.judge(x[2:3], z[2:3]), networks.judge(x, z)
    torch.testing.assert_close(alone.logits, together.logits[2:3])
    for name, f in together.features.items():
        torch.testing.assert_close(alone.features[name], f[2:3])


def test_a_joint_discriminator_looks_at_the_latent_and_a_plain_one_does_not() -> None:
    joint, plain = built(tiny()).eval(), built(tiny(joint=False)).eval()
    x = images(1, tiny())
    with torch.no_grad():
        assert joint.judge(x, torch.ones(1, 3)).logits != joint.judge(x, -torch.ones(1, 3)).logits
        assert plain.judge(x, torch.ones(1, 3)).logits == plain.judge(x).logits


def test_the_encoder_is_there_only_where_it_is_asked_for() -> None:
    without = NetworkPlan(encoder=False, joint=False)
    assert build(without).E is None
    assert not [name for name in build(without).state_dict() if name.startswith("E.")]
    assert build(NetworkPlan()).E is not None


def test_the_default_networks_are_under_two_megabytes() -> None:
    num_bytes = sum(p.numel() * p.element_size() for p in build(NetworkPlan()).state_dict().values())
    assert MAX_BYTES / 4 < num_bytes < MAX_BYTES


def test_initial_weights_are_dcgans() -> None:
    networks = built(NetworkPlan())
    for name, parameter in networks.named_parameters():
        if parameter.ndim > 1:
            few = 4 / parameter.numel() ** 0.5  # four standard errors of a mean, more of a standard deviation
            assert parameter.std().item() == pytest.approx(0.02, rel=few), name
            assert abs(parameter.mean().item()) < 0.02 * few, name
        elif name.endswith(".bias"):
            assert not parameter.any(), name


def test_the_same_seed_draws_the_same_weights_and_another_does_not() -> None:
    a, b, c = (built(tiny(), seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["G.project.0.weight"], c["G.project.0.weight"])
