import pytest
import torch

from anomaly.config import Method, NetworkConfig
from anomaly.networks import NUM_TURNS, TurnDiscriminator, build, turned
from tests.training.runs import network


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (32, 3), (128, 1)])
def test_there_is_a_logit_for_each_turn_whatever_the_side(size: int, channels: int) -> None:
    config = NetworkConfig.model_validate({"size": size, "channels": channels, "turn_discriminator": True})
    assert TurnDiscriminator(config).eval()(torch.zeros(2, channels, size, size)).shape == (2, NUM_TURNS)


def test_copies_are_turned_by_quarters_one_turn_of_all_images_after_another() -> None:
    x = torch.arange(8.0).view(2, 1, 2, 2)
    copies = turned(x)
    assert copies[:2].equal(x)
    assert copies[2, 0].tolist() == [[1.0, 3.0], [0.0, 2.0]]  # counter-clockwise
    for quarters in range(1, NUM_TURNS):
        assert copies[2 * quarters : 2 * quarters + 2].equal(torch.rot90(x, quarters, dims=(2, 3)))


def test_there_is_one_only_where_it_is_asked_for_and_the_game_does_not_count_it_as_its_own() -> None:
    config = network(Method.BIGAN)
    assert build(config).D_turn is None
    networks = build(config.model_copy(update={"turn_discriminator": True, "patch_discriminator": True}))
    assert list(networks.taught()) == [networks.D_patch, networks.D_turn]
    assert networks.D_turn not in list(networks.discriminators())


def test_a_side_that_it_cannot_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="turn discriminator halves the side three times, so 28 does not fit"):
        NetworkConfig.model_validate({"architecture": "mlp", "size": 28, "turn_discriminator": True})
