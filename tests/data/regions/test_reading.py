"""Regions from masks, polygons and labelme's files; mistakes are told in one sentence that names the file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from anomaly.config.region import MAX_REGION_SIDE, decode_region, encode_region, inside_of
from anomaly.data.regions.reading import read_region, region_text
from anomaly.errors import UsageError

SQUARE = [[10, 20], [29, 20], [29, 39], [10, 39]]
EXPECTED = np.zeros((60, 80), np.bool_)
EXPECTED[20:40, 10:30] = True


def as_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_a_mask_s_white_is_inside(tmp_path: Path) -> None:
    Image.fromarray(EXPECTED).save(tmp_path / "region.png")
    assert np.array_equal(read_region(tmp_path / "region.png"), EXPECTED)


def test_polygons(tmp_path: Path) -> None:
    path = as_json(tmp_path / "r.json", {"width": 80, "height": 60, "polygons": [SQUARE]})
    assert np.array_equal(read_region(path), EXPECTED)


def test_holes_are_cut_out_of_all_polygons(tmp_path: Path) -> None:
    hole = [[15, 25], [19, 25], [19, 29], [15, 29]]
    content = {"width": 80, "height": 60, "polygons": [SQUARE, SQUARE], "holes": [hole]}
    expected = EXPECTED.copy()
    expected[25:30, 15:20] = False
    assert np.array_equal(read_region(as_json(tmp_path / "r.json", content)), expected)


def test_labelme(tmp_path: Path) -> None:
    shapes: list[dict[str, Any]] = [
        {"label": "part", "points": SQUARE, "group_id": None, "shape_type": "polygon", "flags": {}}
    ]
    content: dict[str, Any] = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imageData": None,
        "imageHeight": 60,
        "imageWidth": 80,
    }
    assert np.array_equal(read_region(as_json(tmp_path / "r.json", content)), EXPECTED)


def test_the_text_is_small_and_laid_over_pictures_of_any_size(tmp_path: Path) -> None:
    y, x = np.indices((1500, 2000))
    disc = (y - 750) ** 2 + (x - 1000) ** 2 < 600**2
    Image.fromarray(disc).save(tmp_path / "region.png")
    text = region_text(tmp_path / "region.png", (1500, 2000))
    assert decode_region(text).shape == (384, MAX_REGION_SIDE)
    assert len(text) < 4000
    assert (inside_of(text, 1500, 2000) == disc).mean() > 0.99
    assert (inside_of(text, 750, 1000) == disc[::2, ::2]).mean() > 0.99


@pytest.mark.parametrize("shape", [(1500, 2000), (513, 100), (1023, 1024), (1, 5000)])
def test_a_region_that_is_shrunk_keeps_all_its_pixels_and_grows_by_less_than_one_kept(shape: tuple[int, int]) -> None:
    height, width = shape
    inside = np.random.default_rng(0).random(shape) < 1e-4
    inside[height // 3, width // 5 : width // 5 + 70] = inside[0, 0] = True  # a line of one pixel, and a corner
    found = inside_of(encode_region(inside), height, width)
    assert found[inside].all()
    kept = max(shape) / MAX_REGION_SIDE
    margin = int(np.ceil(kept)) - 1
    near = ndimage.binary_dilation(inside, np.ones((2 * margin + 1,) * 2))
    assert not (found & ~near).any()


def test_a_region_of_one_pixel_is_kept(tmp_path: Path) -> None:
    mask = np.zeros((1500, 2000), np.bool_)
    mask[801, 1203] = True
    Image.fromarray(mask).save(tmp_path / "region.png")
    assert inside_of(region_text(tmp_path / "region.png", (1500, 2000)), 1500, 2000)[801, 1203]


def test_a_region_that_leaves_nothing_inside_or_outside_is_refused_by_name(tmp_path: Path) -> None:
    mask = np.zeros((400, 400), np.bool_)
    mask[0, 0] = True
    Image.fromarray(mask).save(tmp_path / "region.png")
    with pytest.raises(UsageError, match=r"region\.png: no pixel of a picture of 40 × 40 lies inside; draw a larger"):
        region_text(tmp_path / "region.png", (40, 40))
    mask = np.ones((1500, 1500), np.bool_)
    mask[0] = False
    Image.fromarray(mask).save(tmp_path / "region.png")
    with pytest.raises(UsageError, match=r"region\.png: nothing is left outside when .* 512 × 512 .* 6 pixels wide"):
        region_text(tmp_path / "region.png", (1500, 1500))


def test_small_regions_are_kept_pixel_by_pixel(tmp_path: Path) -> None:
    Image.fromarray(EXPECTED).save(tmp_path / "region.png")
    assert np.array_equal(inside_of(region_text(tmp_path / "region.png", None), 60, 80), EXPECTED)


@pytest.mark.parametrize(("value", "told"), [(0, "none of its pixels"), (255, "all of its pixels")])
def test_a_mask_that_says_nothing_is_refused_by_name(value: int, told: str, tmp_path: Path) -> None:
    Image.new("L", (20, 20), value).save(tmp_path / "region.png")
    with pytest.raises(UsageError, match=rf"region\.png: {told}"):
        read_region(tmp_path / "region.png")


def test_a_photograph_is_no_mask(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)).save(tmp_path / "region.png")
    with pytest.raises(UsageError, match=r"region\.png: .* different greys"):
        read_region(tmp_path / "region.png")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "the file"),
        ({"width": 80, "polygons": [SQUARE]}, "height"),
        ({"width": 80, "height": 60, "polygons": []}, "polygons"),
        ({"width": 80, "height": 60, "polygons": [SQUARE[:2]]}, "polygons.0"),
        ({"width": 80, "height": 60, "polygons": [[[0, 1e300], *SQUARE]]}, "polygons.0.0.1"),
        ({"width": 80, "height": 60, "polygons": [SQUARE], "color": 1}, "color"),
        ({"width": 10**6, "height": 10**6, "polygons": [SQUARE]}, "divide"),
        ({"width": 80, "height": 60, "polygons": [SQUARE], "holes": [SQUARE]}, "none of its pixels"),
        (
            {"width": 80, "height": 60, "polygons": [[[100, 0], [110, 0], [110, 9]]]},
            "the point [100, 0] of its polygons",
        ),
        (
            {"width": 60, "height": 80, "polygons": [[[1, 1], [79, 1], [79, 59]]]},
            "[79, 1] of its polygons lies outside",
        ),
        ({"width": 80, "height": 60, "polygons": [SQUARE, [[1, 1], [9, 1], [9, 62]]]}, "picture of 80 × 60 pixels"),
        ({"width": 80, "height": 60, "polygons": [[[-2, 1], [9, 1], [9, 9]]]}, "the point [-2, 1] of its polygons"),
        (
            {"width": 80, "height": 60, "polygons": [SQUARE], "holes": [[[1, 1], [9, 1], [9, 62]]]},
            "[9, 62] of its holes",
        ),
        ({"imageWidth": 80, "imageHeight": 60, "shapes": [{"points": [[1, 1], [9, 1], [9, 62]]}]}, "the point [9, 62]"),
        ({"width": 80, "height": 60, "polygons": [[[-0.1, 0], [1.2, 0], [1, 1]]]}, "x by 80 and y by 60"),
        (
            {"width": 80, "height": 60, "polygons": [SQUARE], "holes": [[[0.1, 0], [1, 0], [1, 1]]]},
            "of its holes is more",
        ),
        ({"width": 80, "height": 60, "polygons": [[[0, 0], [1, 0], [1, 1], [0.1, 0.9]]]}, "x by 80 and y by 60"),
        ({"imageWidth": 80, "imageHeight": 60, "shapes": [{"points": [[0.1, 0], [1, 0], [1, 1]]}]}, "multiply x by 80"),
        ({"imageWidth": 80, "imageHeight": 60, "shapes": [{"points": SQUARE[:2], "shape_type": "circle"}]}, "polygon"),
    ],
)
def test_mistakes_in_polygons(content: Any, told: str, tmp_path: Path) -> None:
    path = as_json(tmp_path / "r.json", content)
    with pytest.raises(UsageError) as raised:
        read_region(path)
    assert str(path) in str(raised.value)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_points_may_lie_on_the_edge_and_a_pixel_beyond(tmp_path: Path) -> None:
    half = [[-1, -0.5], [81, -1], [81, 29], [-1, 29]]
    inside = read_region(as_json(tmp_path / "r.json", {"width": 80, "height": 60, "polygons": [half]}))
    assert inside[:30].all()
    assert not inside[30:].any()


def test_what_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(b"\x89PNG")
    with pytest.raises(UsageError, match=r"cannot be read as JSON \(it is no text in UTF-8\)"):
        read_region(tmp_path / "r.json")
    with pytest.raises(UsageError, match=r"missing\.json"):
        read_region(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("size", "fits"), [((600, 800), True), ((30, 40), True), ((606, 800), True), ((620, 800), False)]
)
def test_the_aspect_ratio_is_that_of_the_pictures(size: tuple[int, int], fits: bool, tmp_path: Path) -> None:
    Image.fromarray(EXPECTED).save(tmp_path / "region.png")
    if fits:
        assert region_text(tmp_path / "region.png", size)
    else:
        with pytest.raises(UsageError, match=r"80 × 60 pixels, and the first picture is 800 × 620; .* draw it on one"):
            region_text(tmp_path / "region.png", size)
