"""What aligned normals show at each point, against plain means, and which normals lie alike."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import pixel_unshuffle

from anomaly.config import FeaturesConfig, Place
from anomaly.data import NormalSplit
from anomaly.data.pose import AS_IT_LIES, reference_of
from anomaly.networks.aligned_memory import FINE
from anomaly.networks.pretrained import WIDTHS
from anomaly.training.places.aligned import PointSums, find_reference
from tests.turned_parts import draw_part

GRID = 16
PARTS = [draw_part(number).pixels for number in range(12)]
REFERENCE = reference_of(PARTS[0])


def random_maps(num: int) -> torch.Tensor:
    return torch.randn(num, WIDTHS[4], GRID, GRID, generator=torch.Generator().manual_seed(0)) + 2


def test_pictures_as_they_lie_give_the_plain_mean_and_deviation() -> None:
    maps, sums = random_maps(20), PointSums(REFERENCE, GRID)
    for each in maps:
        sums.add(pixel_unshuffle(each[None], FINE)[0], AS_IT_LIES)
    memory = sums.memory()
    variance = maps.var(dim=0, correction=0)
    torch.testing.assert_close(memory.mean.float(), maps.mean(dim=0), atol=5e-3, rtol=0)
    expected = (variance + 0.1 * variance.mean(dim=(1, 2), keepdim=True)).sqrt()
    torch.testing.assert_close(memory.deviation.float(), expected, atol=5e-3, rtol=0)
    assert memory.is_known.min() == 1


def test_shifted_pictures_are_summed_where_their_points_belong() -> None:
    (one,), sums = random_maps(1), PointSums(REFERENCE, GRID)
    poses = {shift: AS_IT_LIES + np.array([[0, 0, 0], [0, 0, -shift / GRID]], np.float32) for shift in (0, 1, 3)}
    for shift, pose in poses.items():
        sums.add(pixel_unshuffle(one.roll(shift, dims=2)[None], FINE)[0], pose)
    memory = sums.memory()
    torch.testing.assert_close(memory.mean[:, :, 3:-4].float(), one[:, :, 3:-4], atol=5e-3, rtol=0)
    assert (memory.deviation[:, :, 3:-4] < 0.1).all()


def test_points_that_few_pictures_show_are_unknown() -> None:
    sums = PointSums(REFERENCE, GRID)
    away = AS_IT_LIES + np.array([[0, 0, 0], [0, 0, 0.5]], np.float32)
    for number, each in enumerate(random_maps(10)):
        sums.add(pixel_unshuffle(each[None], FINE)[0], AS_IT_LIES if number == 0 else away)
    known = sums.memory().is_known
    assert known[:, : GRID // 2 - 1].max() == 0
    assert known[:, GRID // 2 + 1 :].min() == 1


def test_turned_parts_lie_alike_and_textures_do_not() -> None:
    rng = np.random.default_rng(0)
    textures: list[NDArray[np.uint8]] = [rng.integers(0, 256, (1, 144, 192), np.uint8) for _ in range(12)]
    found = find_reference(PARTS, split_of(12), FeaturesConfig())
    np.testing.assert_array_equal(np.asarray(found), REFERENCE)
    assert find_reference(textures, split_of(12), FeaturesConfig()) is None
    assert find_reference(textures, split_of(12), FeaturesConfig(places=Place.ALIGNED)) is not None


@pytest.mark.parametrize("config", [FeaturesConfig(memory=0), FeaturesConfig(places=Place.SAME)])
def test_without_a_memory_that_may_be_aligned_there_is_no_reference(config: FeaturesConfig) -> None:
    assert find_reference(PARTS, split_of(12), config) is None


def split_of(num: int) -> NormalSplit:
    """The first six train, the others select."""
    return NormalSplit(list(range(6)), list(range(6, num)), [])


@pytest.mark.parametrize("num_odd", [0, 3])
def test_some_normals_that_lie_otherwise_are_enough_to_leave_it(num_odd: int) -> None:
    rng = np.random.default_rng(0)
    odd = [rng.integers(0, 256, (1, 144, 192), np.uint8) for _ in range(num_odd)]
    found = find_reference([*PARTS, *odd], split_of(12 + num_odd), FeaturesConfig())
    assert (found is None) == bool(num_odd)
