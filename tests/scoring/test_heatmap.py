import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomaly.scoring import MapScale
from anomaly.scoring.maps import auxiliary_maps, layer_maps

SIDE = 16


def maps_of(n: int, *, seed: int = 0) -> NDArray[np.float32]:
    """(n, 3, 8, 8): three layers of very different sizes."""
    sizes = np.array([0.01, 1.0, 50.0])[:, None, None]
    maps: NDArray[np.float32] = (np.random.default_rng(seed).random((n, 3, 8, 8)) * sizes).astype(np.float32)
    return maps


def test_the_peak_of_an_ordinary_normal_is_a_quarter() -> None:
    maps = maps_of(100)
    peaks = MapScale.fit(maps).heatmap(maps).max(axis=(1, 2))
    assert np.quantile(peaks, 0.95) == pytest.approx(0.25, rel=1e-5)


def test_layers_weigh_alike_whatever_the_size_of_their_features() -> None:
    maps = maps_of(50)
    scale = MapScale.fit(maps)
    np.testing.assert_allclose(scale.layers, [0.01, 1.0, 50.0], rtol=0.05)
    larger = maps * np.array([1.0, 1000.0, 1.0], np.float32)[:, None, None]
    np.testing.assert_allclose(MapScale.fit(larger).heatmap(larger), scale.heatmap(maps), rtol=1e-5)


@given(st.floats(0.01, 1e4))
def test_a_heatmap_is_linear_and_not_clamped(factor: float) -> None:
    scale, maps = MapScale.fit(maps_of(50)), maps_of(2, seed=1)
    np.testing.assert_allclose(scale.heatmap(maps * np.float32(factor)), scale.heatmap(maps) * factor, rtol=1e-5)


def test_law_4_a_heatmap_does_not_depend_on_what_else_is_mapped() -> None:
    scale, maps = MapScale.fit(maps_of(50)), maps_of(4, seed=1)
    maps[0] *= 100
    np.testing.assert_array_equal(scale.heatmap(maps)[1:2], scale.heatmap(maps[1:2]))


def test_a_layer_that_normals_leave_dark_stays_finite() -> None:
    normals = maps_of(20)
    normals[:, 1] = 0
    heatmap = MapScale.fit(normals).heatmap(maps_of(2, seed=1))
    assert np.isfinite(heatmap).all()


def test_normals_that_show_nothing_at_all_leave_a_finite_scale() -> None:
    scale = MapScale.fit(np.zeros((5, 2, 8, 8), np.float32))
    assert not scale.heatmap(np.zeros((1, 2, 8, 8), np.float32)).any()
    assert np.isfinite(scale.heatmap(np.ones((1, 2, 8, 8), np.float32))).all()


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3]))
def test_a_changed_patch_gives_every_map_its_maximum_there(row: int, column: int, channels: int) -> None:
    x = torch.zeros(2, channels, SIDE, SIDE)
    f = torch.zeros(2, 5, SIDE // 2, SIDE // 2)
    x_hat, f_hat = x.clone(), f.clone()
    x_hat[1, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 1
    f_hat[1, 3, row, column] = -2
    maps = layer_maps(x, x_hat, {"conv1": f}, {"conv1": f_hat})
    assert maps.shape == (2, 2, SIDE, SIDE)
    assert not maps[0].any()
    for layer in maps[1]:
        top, left = divmod(int(layer.argmax()), SIDE)
        assert top // 2 == row
        assert left // 2 == column


def test_maps_are_mean_differences() -> None:
    x = torch.zeros(1, 2, 8, 8)
    f = {"conv1": torch.zeros(1, 4, 4, 4), "conv2": torch.zeros(1, 2, 2, 2)}
    f_hat = {
        "conv1": torch.full((1, 4, 4, 4), -3.0),
        "conv2": torch.tensor([4.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 2, 2),
    }
    x_hat = torch.stack([torch.ones(8, 8), torch.zeros(8, 8)])[None]
    maps = layer_maps(x, x_hat, f, f_hat)
    assert maps[0, :, 4, 4].tolist() == pytest.approx([0.5, 3.0, 2.0])
    assert maps[0, 0, 0, 0].item() == pytest.approx(0.5 * 4 / 9)  # beyond the edge there is no difference


def test_a_feature_lies_over_the_pixels_that_it_was_made_of() -> None:
    """Each cell of 2 × 2 features covers 4 × 4 pixels: its value is in their middle, and fades towards the next's."""
    x = torch.zeros(1, 1, 8, 8)
    f = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).view(1, 1, 2, 2)
    layer = layer_maps(x, x, {"conv1": f}, {"conv1": torch.zeros_like(f)})[0, 1]
    assert layer[0].tolist() == pytest.approx([1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0])


def test_auxiliary_maps_are_hot_where_each_of_them_is_whatever_its_grid() -> None:
    doubt, novelty = torch.full((2, 4, 4), math.log1p(math.exp(-3.0))), torch.ones(2, 2, 2)
    doubt[1, 2, 1] = math.log1p(math.exp(3.0))
    novelty[0, 0, 1] = 5.0
    found = auxiliary_maps([doubt, novelty], 16)
    torch.testing.assert_close(auxiliary_maps([doubt], 16), found[:, :1])
    assert found.shape == (2, 2, 16, 16)
    torch.testing.assert_close(found[0, 0], torch.full((16, 16), math.log1p(math.exp(-3.0))))
    torch.testing.assert_close(found[1, 1], torch.ones(16, 16))
    for hot, rows, columns in ((found[1, 0], range(8, 12), range(4, 8)), (found[0, 1], range(8), range(8, 16))):
        row, column = divmod(hot.argmax().item(), 16)
        assert row in rows
        assert column in columns
