import pytest
import torch

from anomaly.config import Method, NetworkPlan
from anomaly.networks import build
from anomaly.networks.auxiliary import SyntheticDefects, patches
from anomaly.networks.auxiliary.patches import NUM_FEATURES, PatchDiscriminator, standardise
from tests.training.runs import network


def judge(size: int = 256, channels: int = 1) -> PatchDiscriminator:
    torch.manual_seed(0)
    options = {"architecture": "mlp", "size": size, "channels": channels, "synthetic_defects": True}
    return PatchDiscriminator(NetworkPlan.model_validate(options)).eval()


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (24, 1), (32, 3), (256, 1)])
def test_logits_stand_at_a_quarter_of_the_side_and_features_at_an_eighth(size: int, channels: int) -> None:
    logits, features = judge(size, channels)(torch.zeros(2, channels, size, size))
    assert logits.shape == (2, size // 4, size // 4)
    assert features.shape == (2, NUM_FEATURES, size // 8, size // 8)


def test_in_one_light_a_place_is_judged_by_some_hundred_pixels_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "standardise", lambda x: x)
    D_patch, x = judge(), torch.zeros(1, 1, 256, 256)
    x.requires_grad_(True)
    D_patch(x).logits[0, 32, 32].backward()
    assert x.grad is not None
    reach = x.grad[0, 0].nonzero()
    assert (reach.amin(0) < 128 - 80).all()
    assert (reach.amax(0) > 128 + 80).all()
    assert (reach.amin(0) > 128 - 110).all()
    assert (reach.amax(0) < 128 + 110).all()


def test_what_shifts_by_the_coarsest_grid_is_judged_alike() -> None:
    x = torch.randn(1, 1, 512, 512, generator=torch.Generator().manual_seed(0))
    here, there = judge()(x).logits, judge()(x.roll((32, 64), dims=(2, 3))).logits
    torch.testing.assert_close(there[:, 48:72, 56:72], here[:, 40:64, 40:56], rtol=1e-4, atol=1e-5)


def test_an_image_is_judged_in_its_own_light() -> None:
    x = 0.2 * torch.randn(2, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    dark, bright = judge()(0.4 * x - 0.5).logits, judge()(x + 0.1).logits
    torch.testing.assert_close(dark, bright, rtol=0.05, atol=1e-3)


def test_a_grey_image_is_standardised_to_nothing() -> None:
    assert not standardise(torch.full((1, 3, 8, 8), 0.7)).abs().gt(1e-4).any()
    spread = standardise(torch.randn(1, 1, 64, 64))
    assert spread.std().item() == pytest.approx(0.25, rel=0.05)
    assert spread.abs().max() <= 1


def test_there_is_one_only_where_it_is_asked_for_and_the_game_does_not_count_it_as_its_own() -> None:
    config = network(Method.BIGAN)
    assert build(config).all_auxiliaries() == []
    networks = build(config.model_copy(update={"synthetic_defects": True}))
    (auxiliary,) = networks.all_auxiliaries()
    assert isinstance(auxiliary, SyntheticDefects)
    assert isinstance(auxiliary.discriminator, PatchDiscriminator)
    assert auxiliary.discriminator not in list(networks.discriminators())


def test_a_side_that_it_cannot_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="halves the side three times, so 28 does not fit"):
        NetworkPlan.model_validate({"architecture": "mlp", "size": 28, "synthetic_defects": True})
