"""What E and G can't restore of φ's maps, at each place."""

import pytest
import torch
from torch import Tensor, nn

from anomaly.config import FeaturesConfig, Place
from anomaly.networks.places import NUM_FEATURES, PlaceNetworks
from anomaly.networks.restorer import MapRestorer

C = 6


class Constant(nn.Module):
    """Draws one vector at all places, whatever it is asked for."""

    def __init__(self, drawn: Tensor) -> None:
        super().__init__()
        self.drawn = drawn

    def forward(self, z: Tensor) -> Tensor:
        return self.drawn[None, :, None, None].expand(len(z), -1, *z.shape[2:])


@pytest.fixture
def restorer() -> MapRestorer:
    """E passes the maps on, and G draws (1, 0, …): centre and spread are 2 and 4."""
    restorer = MapRestorer(C).eval()
    restorer.E, restorer.G = nn.Sequential(nn.Identity()), nn.Sequential(Constant(torch.eye(C)[0]))
    restorer.centre, restorer.spread = torch.full((C,), 2.0), torch.full((C,), 4.0)
    return restorer


def test_the_residual_is_the_cosine_distance_of_standardised_places(restorer: MapRestorer) -> None:
    maps = torch.full((1, C, 8, 8), 2.0)
    maps[:, 0] += 3.0  # as drawn, whatever its length
    maps[:, :, 2:4, 4:6] = 2.0 - torch.eye(C)[0][:, None, None]  # the opposite
    maps[:, :, 6:8, 0:2] = 2.0 + torch.eye(C)[1][:, None, None]  # at right angles
    expected = torch.zeros(1, 8, 8)
    expected[:, 2:4, 4:6] = 2.0
    expected[:, 6:8, 0:2] = 1.0
    torch.testing.assert_close(restorer(maps), expected)


def test_a_place_is_the_mean_of_four(restorer: MapRestorer) -> None:
    maps = 2.0 + torch.randn(2, C, 8, 8, generator=torch.Generator().manual_seed(0))
    blocks = maps.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))
    torch.testing.assert_close(restorer(maps), restorer(blocks.repeat_interleave(2, 2).repeat_interleave(2, 3)))


def test_further_features_are_left_and_pictures_do_not_depend_on_each_other() -> None:
    torch.manual_seed(0)
    restorer = MapRestorer(C).eval()
    maps = torch.randn(3, C + 4, 16, 8)
    found = restorer(maps)
    assert found.shape == (3, 16, 8)
    torch.testing.assert_close(restorer(maps[:, :C]), found)
    torch.testing.assert_close(restorer(maps[1:2]), found[1:2], rtol=1e-5, atol=1e-6)
    assert ((found >= -1e-6) & (found <= 2 + 1e-6)).all()


def test_e_and_g_keep_the_shape_and_compress_to_a_quarter_of_the_side() -> None:
    restorer = MapRestorer(C)
    coarse = torch.randn(2, C, 8, 12)
    z = restorer.E(coarse)
    assert z.shape[2:] == (2, 3)
    assert z[0].numel() < coarse[0].numel()
    assert restorer.G(z).shape == coarse.shape


@pytest.mark.parametrize("is_there", [False, True])
def test_it_is_a_third_kind_of_evidence(is_there: bool) -> None:
    torch.manual_seed(0)
    networks = PlaceNetworks(FeaturesConfig(memory=8, places=Place.ANYWHERE, restorer=is_there)).eval()
    maps, window = torch.randn(1, NUM_FEATURES, 8, 8), torch.tensor([0.0, 64.0])
    judged = networks.judge(maps, window, torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    assert judged.shape == (1, 4 if is_there else 3, 8, 8)
    torch.testing.assert_close(judged[:, 0], judged[:, 1:].sum(dim=1))
    if networks.restorer is not None:
        torch.testing.assert_close(judged[:, 3], networks.restorer(maps))  # the statistics are 0 and 1
