import pytest
import torch

from anomaly.config import Method, NetworkConfig
from anomaly.networks import PatchDiscriminator, build
from tests.training.runs import network


def judge(channels: int = 1) -> PatchDiscriminator:
    torch.manual_seed(0)
    return PatchDiscriminator(NetworkConfig.model_validate({"channels": channels, "patch_discriminator": True})).eval()


@pytest.mark.parametrize(("height", "width", "channels"), [(8, 8, 1), (32, 64, 3), (128, 128, 1)])
def test_logits_stand_on_a_grid_of_a_quarter_of_the_side(height: int, width: int, channels: int) -> None:
    assert judge(channels)(torch.zeros(2, channels, height, width)).shape == (2, height // 4, width // 4)


def test_a_pixel_is_seen_nearby_and_not_far_away() -> None:
    D_patch, x = judge(), torch.zeros(1, 1, 256, 256)
    x.requires_grad_(True)
    D_patch(x)[0, 32, 32].backward()
    assert x.grad is not None
    reach = x.grad[0, 0].nonzero()
    assert (reach.amin(0) < 128 - 25).all()
    assert (reach.amax(0) > 128 + 25).all()
    assert (reach.amin(0) > 128 - 50).all()
    assert (reach.amax(0) < 128 + 50).all()


def test_what_shifts_by_eight_pixels_is_judged_alike() -> None:
    x = torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    here, there = judge()(x), judge()(x.roll((8, 16), dims=(2, 3)))
    torch.testing.assert_close(there[:, 22:44, 24:44], here[:, 20:42, 20:40], rtol=1e-4, atol=1e-5)


def test_there_is_one_only_where_it_is_asked_for_and_the_game_does_not_count_it_as_its_own() -> None:
    config = network(Method.BIGAN)
    assert build(config).D_patch is None
    networks = build(config.model_copy(update={"patch_discriminator": True}))
    assert networks.D_patch is not None
    assert networks.D_patch not in list(networks.discriminators())


def test_a_side_that_it_cannot_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="halves the side three times, so 28 does not fit"):
        NetworkConfig.model_validate({"architecture": "mlp", "size": 28, "patch_discriminator": True})
