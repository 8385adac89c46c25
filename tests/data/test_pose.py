"""Poses: the shift and turn that a picture was drawn with are found, and nothing is moved without a reason."""

import numpy as np
import pytest

from anomaly.config.places import REFERENCE_SIDE
from anomaly.data.pose import AS_IT_LIES, pose_of, reference_of
from tests.turned_parts import HEIGHT, WIDTH, draw_part

REFERENCE = reference_of(draw_part(0).pixels)


@pytest.mark.parametrize("number", [0, *range(1, 12)])
def test_points_are_found_in_the_reference_to_a_third_of_a_pixel(number: int) -> None:
    part = draw_part(number)
    pose = pose_of(REFERENCE, part.pixels)
    assert pose.agreement > 0.9
    for row, column in ((20.0, 30.0), (120.0, 30.0), (72.0, 170.0)):
        x, y = part.to_design @ [column, row, 1]
        found = pose.matrix @ [row / HEIGHT, column / WIDTH, 1] * (HEIGHT, WIDTH)
        np.testing.assert_allclose(found, (y, x), atol=1 / 3)


@pytest.mark.parametrize("degrees", [3.0, 6.0])
def test_larger_turns_are_found_too(degrees: float) -> None:
    part = draw_part(5, degrees=degrees, shift=8.0)
    x, y = part.to_design @ [40, 30, 1]
    found = pose_of(REFERENCE, part.pixels).matrix @ [30 / HEIGHT, 40 / WIDTH, 1] * (HEIGHT, WIDTH)
    np.testing.assert_allclose(found, (y, x), atol=0.5)


def test_a_defect_moves_nothing() -> None:
    part = draw_part(3)
    spoilt = part.pixels.copy()
    spoilt[:, 60:90, 80:120] = 255
    np.testing.assert_allclose(
        pose_of(REFERENCE, spoilt).matrix, pose_of(REFERENCE, part.pixels).matrix, atol=0.2 / HEIGHT
    )


def test_colours_lie_as_their_greys() -> None:
    grey = draw_part(4).pixels
    np.testing.assert_array_equal(pose_of(REFERENCE, grey.repeat(3, axis=0)).matrix, pose_of(REFERENCE, grey).matrix)


@pytest.mark.parametrize(
    "pixels",
    [
        np.random.default_rng(0).integers(0, 256, (1, HEIGHT, WIDTH), np.uint8),
        np.full((1, HEIGHT, WIDTH), 7, np.uint8),
        np.zeros((1, HEIGHT, WIDTH), np.uint8),
        draw_part(1).pixels[:, :, : WIDTH // 2],
        np.random.default_rng(0).integers(0, 256, (3, 16, 16), np.uint8),
    ],
    ids=["noise", "even", "black", "another shape", "tiny"],
)
def test_what_shows_something_else_is_measured_as_it_lies(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(pose_of(REFERENCE, pixels).matrix, AS_IT_LIES)


def test_a_picture_lies_as_itself_whatever_it_shows() -> None:
    even = np.full((1, 64, 64), 7, np.uint8)
    assert reference_of(even).shape == (REFERENCE_SIDE, REFERENCE_SIDE)
    np.testing.assert_array_equal(pose_of(reference_of(even), even).matrix, AS_IT_LIES)
