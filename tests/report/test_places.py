"""The box around the strongest place is seen on any picture, hides none of the place, and never leaves the picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anomaly.report.heat import Rgb
from anomaly.report.places import INNER, OUTER, draw_place, label_place, strength_text
from anomaly.scoring import StrongestPlace


def grey(height: int, width: int, level: int = 90) -> Rgb:
    return np.full((height, width, 3), level, np.uint8)


def box(x: int, y: int, width: int = 1, height: int = 1, strength: float = 3.24) -> StrongestPlace:
    return StrongestPlace(x, y, width, height, strength)


def painted(picture: Rgb, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Where a picture has this colour, (h, w)."""
    return np.asarray((picture == np.array(colour)).all(axis=2))


@given(st.integers(8, 300), st.integers(8, 300), st.data())
def test_lines_of_both_colours_are_there_and_the_place_is_as_it_was(
    height: int, width: int, data: st.DataObject
) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    place = box(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
    drawn = draw_place(grey(height, width), place)
    assert drawn.shape == (height, width, 3)
    assert painted(drawn, INNER).any()
    if (place.width, place.height) != (width, height):
        assert (drawn[y : y + place.height, x : x + place.width] == 90).all()


@pytest.mark.parametrize("level", [0, 255])
def test_it_is_seen_on_black_and_on_white(level: int) -> None:
    drawn = draw_place(grey(100, 100, level), box(40, 40, 10, 10))
    assert painted(drawn, INNER).any()
    assert painted(drawn, OUTER).any()


@pytest.mark.parametrize(("side", "least"), [(28, 3), (1200, 50), (4096, 170)])
def test_a_single_pixel_gets_a_box_that_is_seen_in_a_picture_of_any_size(side: int, least: int) -> None:
    drawn = draw_place(grey(side, side), box(side // 2, side // 2))
    rows, columns = np.nonzero(painted(drawn, INNER))
    assert np.ptp(rows) > least
    assert np.ptp(columns) > least
    assert (drawn[side // 2, side // 2] == 90).all()


def test_the_lines_lie_around_the_place() -> None:
    drawn = draw_place(grey(64, 64), box(20, 30, 10, 5))
    assert (drawn[30:35, 20:30] == 90).all()
    assert painted(drawn, INNER)[29, 20:30].all()
    assert painted(drawn, INNER)[30:35, 30].all()
    assert painted(drawn, OUTER)[28, 20:30].all()


def test_a_place_that_is_the_whole_picture_is_boxed_too() -> None:
    drawn = draw_place(grey(64, 48), box(0, 0, 48, 64))
    assert painted(drawn, INNER).any()
    assert (drawn[32, 24] == 90).all()


@pytest.mark.parametrize("place", [box(0, 0), box(99, 59), box(0, 59), box(99, 0)])
def test_a_corner_is_boxed(place: StrongestPlace) -> None:
    drawn = draw_place(grey(60, 100), place)
    assert painted(drawn, INNER).any()
    assert (drawn[place.y, place.x] == 90).all()


def test_a_smaller_picture_has_the_box_at_its_own_scale() -> None:
    np.testing.assert_array_equal(
        draw_place(grey(100, 200), box(400, 200, 100, 50), scale=0.25), draw_place(grey(100, 200), box(100, 50, 25, 13))
    )


@pytest.mark.parametrize("place", [box(150, 150, 10, 10), box(0, 0), box(299, 199), box(0, 0, 300, 200)])
def test_a_number_stands_beside_the_box_and_leaves_the_place(place: StrongestPlace) -> None:
    boxed, labelled = draw_place(grey(200, 300), place), label_place(grey(200, 300), place)
    changed = (boxed != labelled).any(axis=2)
    assert changed.sum() > 30
    if place.width < 300:
        assert not changed[place.y : place.y + place.height, place.x : place.x + place.width].any()


def test_a_small_picture_has_no_number_over_it() -> None:
    np.testing.assert_array_equal(label_place(grey(28, 28), box(5, 5)), draw_place(grey(28, 28), box(5, 5)))


def test_strength_is_told_as_a_multiple() -> None:
    assert strength_text(box(0, 0, strength=3.24)) == "3.2×"


@pytest.mark.parametrize(
    ("strength", "text"),
    [(0.0432, "0.043×"), (0.1, "0.1×"), (999.4, "999.4×"), (4123.4, "4,100×"), (1e9, "1,000,000,000×")],
)
def test_a_strength_far_from_that_of_normals_has_two_digits(strength: float, text: str) -> None:
    assert strength_text(box(0, 0, strength=strength)) == text
