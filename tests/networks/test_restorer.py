"""What E and G can't restore of φ's maps, at each place."""

import pytest
import torch
from torch import Tensor, nn

from anomaly.config import FeaturesConfig, Place
from anomaly.networks.place_statistics import strength
from anomaly.networks.places import NUM_FEATURES, PhiMaps, PlaceNetworks
from anomaly.networks.pretrained import PretrainedFeatures
from anomaly.networks.restorer import HalfMapRestorer, MapRestorer

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


def test_at_half_the_size_it_restores_the_last_features_as_if_they_were_all() -> None:
    torch.manual_seed(0)
    restorer = HalfMapRestorer(C).eval()
    plain = MapRestorer(C).eval()
    plain.load_state_dict(restorer.state_dict())
    half = torch.randn(2, C, 8, 16)
    maps = torch.cat([torch.randn(2, C + 4, 16, 32), half.repeat_interleave(2, 2).repeat_interleave(2, 3)], dim=1)
    torch.testing.assert_close(restorer.coarse(maps), plain.coarse(half))
    found, blocks = restorer(maps), plain(half)
    assert found.shape == (2, 16, 32)
    torch.testing.assert_close(found.unfold(1, 2, 2).unfold(2, 2, 2)[:, 1:-1, 1:-1].mean(dim=(3, 4)), smoothed(blocks))


def smoothed(blocks: Tensor) -> Tensor:
    """The means of four places between which a map (b, h, w) was interpolated, but for its border: by hand.

    A place lies a quarter of a block away from the middle of its block, so its mean weighs 3/4 · 3/4 and so on.
    """
    weights = torch.tensor([1 / 8, 6 / 8, 1 / 8])
    return nn.functional.conv2d(blocks[:, None], (weights[:, None] * weights)[None, None])[:, 0]


def test_centre_and_spread_are_those_of_the_features_that_are_restored() -> None:
    places = torch.randn(50, C + 4 + C)
    for restorer, own in ((MapRestorer(C), places[:, :C]), (HalfMapRestorer(C), places[:, -C:])):
        restorer.standardise_by(places)
        torch.testing.assert_close(restorer.centre, own.mean(dim=0))
        torch.testing.assert_close(restorer.spread, own.std(dim=0))


@pytest.mark.parametrize("with_points", [False, True])
def test_the_last_features_are_the_maps_of_the_picture_at_half_its_size(with_points: bool) -> None:
    torch.manual_seed(0)
    phi, x = PretrainedFeatures().eval(), torch.rand(1, 3, 64, 96) * 2 - 1
    maps, whole = (PhiMaps(phi, with_points=with_points, with_half=each)(x) for each in (True, False))
    halved = x.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))
    of_half = PhiMaps(phi, with_points=False, with_half=False)(halved)
    torch.testing.assert_close(maps[:, :-NUM_FEATURES], whole)
    torch.testing.assert_close(maps[:, -NUM_FEATURES:], of_half.repeat_interleave(2, 2).repeat_interleave(2, 3))


IDENTITY = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@pytest.mark.parametrize(("restorer", "half_restorer"), [(False, False), (True, False), (True, True), (False, True)])
def test_residuals_are_the_third_and_fourth_kind_of_evidence(restorer: bool, half_restorer: bool) -> None:
    torch.manual_seed(0)
    config = FeaturesConfig(memory=8, places=Place.ANYWHERE, restorer=restorer, half_restorer=half_restorer)
    networks = PlaceNetworks(config).eval()
    maps, window = torch.randn(1, NUM_FEATURES * (1 + half_restorer), 16, 16), torch.tensor([0.0, 128.0])
    judged = networks.judge(maps, window, IDENTITY)
    assert judged.shape == (1, 5 if half_restorer else 4 if restorer else 3, 16, 16)
    finer = judged[:, 1 : 4 if half_restorer else None].sum(dim=1)
    by_half = judged[:, 4].minimum(finer.clamp_min(0)) if half_restorer else 0  # at most as much as the others
    torch.testing.assert_close(judged[:, 0], finer + by_half)
    if restorer or half_restorer:  # the statistics are 0 and 1
        found = networks.restorer(maps) if networks.restorer else torch.zeros(1, 16, 16)
        torch.testing.assert_close(judged[:, 3], found)
    if networks.half_restorer:
        torch.testing.assert_close(judged[:, 4], networks.half_restorer(maps))


def test_what_the_half_size_shows_counts_at_most_as_much_as_the_others_together() -> None:
    own = torch.tensor([[2.0, 1.0, 9.0], [2.0, 1.0, 2.0], [2.0, 1.0, -1.0], [-2.0, 1.0, 9.0], [-2.0, 1.0, -3.0]])
    kinds = own.T[None, :, :, None]
    assert strength(kinds, by_half=True).flatten().tolist() == [6.0, 5.0, 2.0, -1.0, -4.0]
    assert strength(kinds, by_half=False).flatten().tolist() == [12.0, 5.0, 2.0, 8.0, -4.0]


def test_alone_it_counts_as_it_is() -> None:
    config = FeaturesConfig(memory=0, discriminator=False, places=Place.ANYWHERE, half_restorer=True)
    networks = PlaceNetworks(config).eval()
    assert networks.half_restorer is not None
    maps = torch.randn(1, NUM_FEATURES * 2, 16, 16)
    judged = networks.judge(maps, torch.tensor([0.0, 128.0]), IDENTITY)
    torch.testing.assert_close(judged[:, 0], networks.half_restorer(maps))
