"""The strongest place: a box about the maximum, for maps of any size, level and shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomaly.scoring import StrongestPlace, strongest_place
from anomaly.scoring.heatmap import NORMAL_PEAK


def blank(height: int = 20, width: int = 30, level: float = 0.0) -> NDArray[np.float32]:
    return np.full((height, width), level, np.float32)


def test_a_single_pixel_is_a_box_of_one_pixel() -> None:
    heatmap = blank()
    heatmap[7, 11] = 0.5
    assert strongest_place(heatmap) == StrongestPlace(x=11, y=7, width=1, height=1, strength=2.0)


def test_a_plateau_is_one_box() -> None:
    heatmap = blank()
    heatmap[3:8, 20:29] = 1.0
    assert strongest_place(heatmap) == StrongestPlace(x=20, y=3, width=9, height=5, strength=4.0)


def test_of_two_equal_places_it_is_the_first_and_not_both() -> None:
    heatmap = blank()
    heatmap[15, 2:4] = heatmap[5, 25] = 1.0
    assert strongest_place(heatmap) == StrongestPlace(x=25, y=5, width=1, height=1, strength=4.0)


def test_a_weaker_place_that_does_not_touch_is_left_out() -> None:
    heatmap = blank()
    heatmap[5, 5], heatmap[5, 7], heatmap[6, 6], heatmap[12, 12] = 1.0, 0.6, 0.3, 0.9
    assert strongest_place(heatmap) == StrongestPlace(x=5, y=5, width=1, height=1, strength=4.0)


def test_pixels_that_touch_at_a_corner_are_one_place() -> None:
    heatmap = blank()
    heatmap[np.arange(4, 9), np.arange(10, 15)] = 1.0  # a scratch
    assert strongest_place(heatmap) == StrongestPlace(x=10, y=4, width=5, height=5, strength=4.0)


def test_what_lies_below_half_is_outside() -> None:
    heatmap = blank()
    heatmap[4] = np.concatenate([np.linspace(0, 1, 15), np.linspace(1, 0, 15)])  # half of it within columns 7 to 22
    place = strongest_place(heatmap)
    assert place is not None
    assert (place.x, place.width) == (7, 16)


@pytest.mark.parametrize("level", [-3.0, 0.0, 0.2, 40.0])
def test_what_the_map_has_everywhere_does_not_make_the_box_large(level: float) -> None:
    """Also below the scale's visible part, where no colour tells of it."""
    heatmap = blank(level=level)
    heatmap[9:11, 9:12] += 0.04
    place = strongest_place(heatmap)
    assert place is not None
    assert (place.x, place.y, place.width, place.height) == (9, 9, 3, 2)
    assert place.strength == pytest.approx((level + 0.04) / NORMAL_PEAK, rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (5, 90), (90, 5)])
def test_a_flat_map_has_no_strongest_place(shape: tuple[int, int]) -> None:
    assert strongest_place(blank(*shape, level=0.7)) is None


def test_a_place_over_most_of_the_picture_is_found() -> None:
    heatmap = blank()
    heatmap[2:18, 1:29] = 1.0
    heatmap[9, 9] = 1.2
    place = strongest_place(heatmap)
    assert place is not None
    assert place.x <= 9 < place.x + place.width


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_box_has_the_maximum_inside_and_lies_in_the_picture(height: int, width: int, seed: int) -> None:
    heatmap = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    place = strongest_place(heatmap)
    if heatmap.size == 1:
        assert place is None
        return
    assert place is not None
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    assert place.y <= row < place.y + place.height <= height
    assert place.x <= column < place.x + place.width <= width
    assert min(place.x, place.y) >= 0
    assert place.strength == heatmap.max() / NORMAL_PEAK


def test_the_map_of_an_image_that_could_not_be_read_has_no_strongest_place() -> None:
    assert strongest_place(np.full((4, 6), np.nan, np.float32)) is None
