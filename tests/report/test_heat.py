"""How heatmaps are drawn: nothing where normals are, more light for more heat, the same for every image."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.report.heat import DIMMED, HOTTEST, Rgb, fitted, legend_bar, overlay
from anomaly.scoring.heatmap import NORMAL_PEAK

LUMA = [0.2126, 0.7152, 0.0722]  # of linear light
LEVELS = np.geomspace(NORMAL_PEAK, HOTTEST, 64)[None]


def lightness(pixels: Rgb) -> np.ndarray:
    """CIE L* of sRGB."""
    srgb = pixels / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    y = linear @ LUMA
    return np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y)


def test_up_to_an_ordinary_normals_peak_only_the_darkened_image_is_there() -> None:
    image = np.array([[[0, 90, 255], [10, 20, 30], [255, 255, 255]]], dtype=np.uint8)
    shown = overlay(image, np.array([[0.0, -3.0, NORMAL_PEAK]]))
    np.testing.assert_array_equal(shown, np.rint(DIMMED * image).astype(np.uint8))


@pytest.mark.parametrize("grey", [0, 60, 128])
def test_lightness_rises_with_heat(grey: int) -> None:
    image = np.full((1, LEVELS.size, 3), grey, np.uint8)
    shown = lightness(overlay(image, LEVELS))[0]
    drawn = shown[LEVELS[0] > 1.2 * NORMAL_PEAK]  # below, the image shows through
    assert (np.diff(drawn) > 0).all()
    assert drawn[-1] - drawn[0] > 35


@pytest.mark.parametrize("grey", [0, 60, 128, 255])
def test_heat_is_seen_on_every_grey(grey: int) -> None:
    image = np.full((1, LEVELS.size, 3), grey, np.uint8)
    shown = overlay(image, LEVELS)[0].astype(int)
    assert (np.ptp(shown, axis=1)[LEVELS[0] > 1.1 * NORMAL_PEAK] > 40).all()


@given(st.floats(NORMAL_PEAK, HOTTEST / 2))
def test_equal_factors_are_equal_steps_of_colour(heat: float) -> None:
    """Where the colours are as opaque as they get, those of h and 2h are half the scale apart."""
    black = np.zeros((1, 1, 3), np.uint8)
    half = LEVELS.size // 2
    nearest = int(np.abs(LEVELS[0] - heat).argmin())
    twice = overlay(black, np.array([[2 * heat]]))
    from_scale = overlay(black, LEVELS[:, [min(nearest + half, LEVELS.size - 1)]])
    assert np.abs(twice.astype(int) - from_scale).max() <= 8


def test_beyond_the_scale_nothing_changes() -> None:
    image = np.full((1, 2, 3), 77, np.uint8)
    at_end, beyond = overlay(image, np.array([[HOTTEST, 99.0]]))[0]
    np.testing.assert_array_equal(at_end, beyond)


def test_the_legend_is_the_scale_as_it_is_drawn() -> None:
    bar = legend_bar(64, 5)
    assert bar.shape == (5, 64, 3)
    np.testing.assert_array_equal(bar[3], overlay(np.full((1, 64, 3), 128, np.uint8), LEVELS)[0])


def test_a_tall_picture_is_drawn_as_its_rows_are_and_in_little_memory() -> None:
    rng = np.random.default_rng(0)
    image, heatmap = rng.integers(0, 256, (1500, 400, 3), np.uint8), rng.random((1500, 400), np.float32)
    tracemalloc.start()
    try:
        drawn = overlay(image, heatmap)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * image.nbytes
    for row in (0, 63, 64, 1499):
        np.testing.assert_array_equal(drawn[row], overlay(image[row : row + 1], heatmap[row : row + 1])[0])


@pytest.mark.parametrize(("height", "width"), [(30, 600), (7, 13), (300, 600), (30, 6000)])
def test_a_smaller_heatmap_keeps_the_hottest_of_what_each_pixel_covers(height: int, width: int) -> None:
    heatmap = np.zeros((300, 6000), np.float32)
    heatmap[123, 4567] = 0.8
    small = fitted(heatmap, height, width)
    assert small.shape == (height, width)
    assert [tuple(place) for place in np.argwhere(small > 0)] == [(123 * height // 300, 4567 * width // 6000)]
    assert small.max() == np.float32(0.8)


def test_a_larger_heatmap_is_smooth_and_has_the_same_place() -> None:
    heatmap = np.zeros((4, 6), np.float32)
    heatmap[1, 4] = 0.8
    large = fitted(heatmap, 40, 60)
    assert large.shape == (40, 60)
    rows, columns = np.nonzero(large > 0.7)
    assert (rows.mean(), columns.mean()) == (pytest.approx(14.5, abs=0.5), pytest.approx(44.5, abs=0.5))
    assert np.abs(np.diff(large, axis=1)).max() < 0.1


def test_one_side_may_shrink_while_the_other_grows() -> None:
    heatmap = np.zeros((1, 900), np.float32)
    heatmap[0, 450] = 0.8
    assert np.argwhere(fitted(heatmap, 3, 9) > 0).tolist() == [[0, 4], [1, 4], [2, 4]]
