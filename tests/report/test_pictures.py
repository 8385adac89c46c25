import base64
import io

import numpy as np
import pytest
from PIL import Image

from anomaly.report.heat import Rgb, legend_bar
from anomaly.report.pictures import (
    LEGEND_SIZE,
    OUTLINE_COLOUR,
    REGION_COLOUR,
    THUMBNAIL_SIDE,
    draw_example,
    legend_uri,
    outline,
    thumbnail,
)
from anomaly.report.places import INNER
from anomaly.scoring import strongest_place
from tests.evaluation.evaluations import make_example


def decode(uri: str) -> Rgb:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


@pytest.mark.parametrize(
    ("shape", "expected"), [((28, 28), (192, 192)), ((300, 200, 3), (192, 128)), ((1, 900), (1, 192))]
)
def test_thumbnails_keep_the_aspect_ratio(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert (*expected, 3) == thumbnail(np.zeros(shape, dtype=np.uint8)).shape


def test_small_images_are_enlarged_with_sharp_pixels() -> None:
    image = np.array([[0, 255], [100, 7]], dtype=np.uint8)
    half = THUMBNAIL_SIDE // 2
    np.testing.assert_array_equal(np.kron(image, np.ones((half, half), np.uint8)), thumbnail(image)[..., 0])


def test_outline_goes_round_the_defect_and_hides_none_of_it() -> None:
    image = np.full((20, 20, 3), 50, dtype=np.uint8)
    mask = np.zeros((20, 20), dtype=np.bool_)
    mask[8:12, 8:12] = True
    outlined = outline(image, mask)
    assert (outlined[mask] == 50).all()
    assert (outlined[6:8, 9] == OUTLINE_COLOUR).all()
    assert (outlined[2, 9] == 50).all()
    assert (image == 50).all()


def test_rows_are_drawn_at_one_size() -> None:
    mask = np.zeros((30, 20), dtype=np.bool_)
    mask[3, 4] = True
    row = draw_example(make_example(mask=mask), is_alarm=False)
    assert row.mask is not None
    assert {(192, 128, 3)} == {decode(uri).shape for uri in (row.image, row.heatmap, row.mask)}
    assert row.reconstruction is not None
    assert decode(row.reconstruction).shape == (192, 192, 3)
    assert (decode(row.mask) == OUTLINE_COLOUR).all(axis=2).any()


def test_normals_have_no_outline() -> None:
    assert draw_example(make_example(), is_alarm=True).mask is None
    blank = make_example(mask=np.zeros((30, 20), dtype=np.bool_))  # as of a normal image where others have masks
    assert draw_example(blank, is_alarm=True).mask is None


def test_a_hair_crack_in_a_large_image_does_not_vanish() -> None:
    mask = np.zeros((2000, 2000), dtype=np.bool_)
    mask[:, 1000] = True
    example = make_example(image=np.zeros((2000, 2000), np.uint8), heatmap=np.zeros((2000, 2000)), mask=mask)
    row = draw_example(example, is_alarm=False)
    assert row.mask is not None
    assert (decode(row.mask) == OUTLINE_COLOUR).all(axis=2).any(axis=1).all()


def test_the_legend_is_the_bar() -> None:
    np.testing.assert_array_equal(decode(legend_uri()), legend_bar(*LEGEND_SIZE))


@pytest.mark.parametrize("hottest", [0.1, 1.0])
def test_the_strongest_place_of_an_alarm_is_boxed_also_where_it_has_no_colour(hottest: float) -> None:
    heatmap = np.zeros((1200, 900), np.float32)
    heatmap[600, 300] = hottest
    image = np.full((1200, 900), 200, np.uint8)
    example = make_example(image=image, heatmap=heatmap, strongest=strongest_place(heatmap))
    passed, alarm = (decode(draw_example(example, is_alarm=each).heatmap) for each in (False, True))
    assert not (passed == INNER).all(axis=2).any()
    rows, columns = np.nonzero((alarm == INNER).all(axis=2))
    assert (rows.min() + rows.max()) / 2 == pytest.approx(600 * THUMBNAIL_SIDE / 1200, abs=1)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(300 * THUMBNAIL_SIDE / 1200, abs=1)


def test_a_map_without_a_strongest_place_has_no_box() -> None:
    example = make_example(heatmap=np.zeros((30, 20)), strongest=None)
    np.testing.assert_array_equal(
        decode(draw_example(example, is_alarm=True).heatmap), decode(draw_example(example, is_alarm=False).heatmap)
    )


def test_the_region_is_outlined_on_the_image_and_on_the_heatmap() -> None:
    region = np.zeros((30, 20), np.bool_)
    region[10:20, 5:15] = True
    with_region, without = (draw_example(make_example(region=each), is_alarm=False) for each in (region, None))
    for name in ("image", "heatmap"):
        drawn, plain = (decode(getattr(pictures, name)) for pictures in (with_region, without))
        changed = (drawn != plain).any(axis=2)
        assert (drawn[changed] == REGION_COLOUR).all()
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        scale = THUMBNAIL_SIDE / 30
        assert abs(rows[0] - 10 * scale) <= 3
        assert abs(columns[-1] - 15 * scale) <= 3
    assert with_region.reconstruction == without.reconstruction


@pytest.mark.parametrize(
    ("shape", "drawn", "named"),
    [
        ((300, 6000), (48, 960), "wide"),
        ((6000, 300), (960, 48), "tall"),
        ((100, 400), (48, 192), ""),
        ((2, 9000), (1, 1152), "wide"),
        ((1200, 900), (192, 144), ""),
    ],
)
def test_long_pictures_are_drawn_longer(shape: tuple[int, int], drawn: tuple[int, int], named: str) -> None:
    mask = np.zeros(shape, np.bool_)
    mask[0, 0] = True
    example = make_example(image=np.zeros(shape, np.uint8), heatmap=np.zeros(shape), mask=mask)
    row = draw_example(example, is_alarm=False)
    assert row.mask is not None
    assert {(*drawn, 3)} == {decode(uri).shape for uri in (row.image, row.heatmap, row.mask)}
    assert row.shape == named


@pytest.mark.parametrize(("height", "width"), [(300, 6000), (2000, 3000)])
def test_a_small_hot_place_in_a_large_image_does_not_vanish(height: int, width: int) -> None:
    heatmap = np.zeros((height, width), np.float32)
    heatmap[140:144, 1500:1504] = 1
    example = make_example(image=np.full((height, width), 90, np.uint8), heatmap=heatmap)
    drawn = decode(draw_example(example, is_alarm=False).heatmap)
    coloured = np.argwhere(np.ptp(drawn.astype(int), axis=2) > 100)
    assert len(coloured)
    scale = drawn.shape[1] / width
    assert np.abs(coloured - np.array([142, 1502]) * scale).max() <= 1.5
