"""Normals with drawn defects of any shape of picture: what is changed, how much of it, and always alike."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anomaly.config.region import OUTSIDE
from anomaly.training.places.spoilt import (
    SIDES,
    SMALL_SIDES,
    TRAINING_KINDS,
    moved_images,
    spoilt_all_over,
    spoilt_images,
)

ROWS = range(6)


def pictures(height: int, width: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng((height, width))
    return [rng.integers(60, 200, (1, height, width), np.uint8) for _ in ROWS]


def moved(images: Any, rows: Any, kinds: Any, seed: int, **more: bool) -> Any:
    return moved_images(images, rows, seed, **more)


def changed(made: Callable[..., Any], images: list[NDArray[np.uint8]]) -> list[NDArray[np.bool_]]:
    spoilt = made(images, ROWS, TRAINING_KINDS, 0)
    return [(image != own).any(axis=0) for (image, _), own in zip(spoilt, images, strict=True)]


@pytest.mark.parametrize("made", [spoilt_images, spoilt_all_over, moved])
def test_normals_themselves_stay_and_what_is_seen_has_changed(made: Callable[..., Any]) -> None:
    images = pictures(96, 160)
    before = [image.copy() for image in images]
    again = [image for image, _ in made(images, ROWS, TRAINING_KINDS, 0)]
    for (image, mask), own, kept, same in zip(
        made(images, ROWS, TRAINING_KINDS, 0), images, before, again, strict=True
    ):
        np.testing.assert_array_equal(own, kept)
        np.testing.assert_array_equal(image, same)
        assert image.shape == own.shape
        assert mask.shape == own.shape[1:]
        assert (image != own)[:, mask].any()


def test_large_pictures_are_spoilt_in_squares_of_several_sizes() -> None:
    sizes = set()
    for places in changed(spoilt_images, pictures(600, 700)):
        rows, columns = np.nonzero(places)
        assert max(np.ptp(rows), np.ptp(columns)) < max(SIDES)
        sizes.add(max(np.ptp(rows), np.ptp(columns)) // min(SIDES))
    assert len(sizes) > 1


def test_small_defects_lie_all_over() -> None:
    places = changed(spoilt_all_over, pictures(600, 700))
    num_squares = 600 * 700 // 20_000
    for each in places:
        assert each.mean() < num_squares * max(SMALL_SIDES) ** 2 / each.size
        quarters = [half.any() for rows in np.array_split(each, 2) for half in np.array_split(rows, 2, axis=1)]
        assert all(quarters)


def test_pictures_smaller_than_any_square_are_spoilt_too() -> None:
    assert all(places.any() for places in changed(spoilt_all_over, pictures(16, 48)))


@pytest.mark.parametrize("made", [spoilt_images, spoilt_all_over, moved])
@pytest.mark.parametrize("side", [96, 600])
def test_nothing_outside_of_the_region_changes_and_something_inside_does(made: Callable[..., Any], side: int) -> None:
    images = pictures(side, side)
    for image in images:
        image[:, :, side // 3 :] = OUTSIDE
        image[:, :, : side // 3][image[:, :, : side // 3] == OUTSIDE] += 1
    for (image, mask), own in zip(made(images, ROWS, TRAINING_KINDS, 0, has_region=True), images, strict=True):
        np.testing.assert_array_equal(image[:, :, side // 3 :], own[:, :, side // 3 :])
        assert mask.any()
        assert not mask[:, side // 3 :].any()
        assert (image != own)[:, mask].any()


def test_a_part_at_a_wrong_place_is_the_pictures_own_and_its_edge_is_soft() -> None:
    """In a picture whose columns rise by one, what is moved has another level, and the steps at its edge are small."""
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8), (1, 160, 200)).copy()
    for image, mask in moved_images([ramp] * 6, ROWS, 0):
        rows, columns = np.nonzero(mask)
        assert 160 / 4 - 3 < np.ptp(rows) + 1 <= 160 / 2
        assert 160 / 4 - 3 < np.ptp(columns) + 1 <= 160 / 2
        inner = image[0, round(rows.mean()), round(columns.mean()) + np.arange(-4, 5)]
        assert (np.diff(inner.astype(int)) == 1).all()  # as it was elsewhere
        shift = abs(int(inner[4]) - round(columns.mean()))
        assert shift > 20
        steps = np.abs(np.diff(image[0].astype(int), axis=0))
        assert steps.max() <= shift / (0.25 * (np.ptp(rows) + 1)) + 2


def test_with_a_region_the_outside_is_never_moved_into_it_and_the_square_can_be_seen() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 100, (1, 200, 200), np.uint8) for _ in ROWS]
    rows, columns = np.indices((200, 200))
    outside = (rows - 100) ** 2 + (columns - 100) ** 2 > 70**2
    for image in images:
        image[:, outside] = OUTSIDE
    for image, mask in moved_images(images, ROWS, 0, has_region=True):
        assert not (image[0, ~outside] == OUTSIDE).any()
        assert mask.sum() > 200


@pytest.mark.parametrize("size", [(8, 8), (1, 40), (3, 3)])
def test_the_smallest_pictures_have_a_part_at_a_wrong_place_too(size: tuple[int, int]) -> None:
    images = pictures(*size)
    assert all(mask.any() for _, mask in moved_images(images, ROWS, 0))
