import io

import numpy as np
import pytest
from PIL import Image

from anomaly.report.heat import legend_bar
from anomaly.report.plots import LIGHT
from anomaly.report.sheets import (
    GAP,
    LEGEND_HEIGHT,
    LEGEND_WIDTH,
    LINE_HEIGHT,
    MARGIN,
    MIN_SIDE,
    TITLE_SIZE,
    Sheet,
    Text,
    centred,
    heat_tiles,
    lines_of,
    to_tiles,
    whole,
)

TILES = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3)).astype(np.uint8)


def drawn(sheet: Sheet) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(sheet.png())))


@pytest.mark.parametrize(
    "sheet",
    [Sheet("t", TILES), Sheet("t", TILES, [Text("r")] * 2, [Text("c")] * 3, [Text("b")] * 3, breaks=[1])],
)
def test_tiles_stand_at_their_corners_unchanged(sheet: Sheet) -> None:
    picture = drawn(sheet)
    assert picture.shape == (sheet.shape[1], sheet.shape[0], 3)
    times = sheet.times
    for row, column in np.ndindex(2, 3):
        x, y = sheet.corner(row, column)
        tile = picture[y : y + sheet.height, x : x + sheet.width]
        np.testing.assert_array_equal(tile, TILES[row, column].repeat(times, axis=0).repeat(times, axis=1))


@pytest.mark.parametrize(("size", "side"), [(8, 96), (9, 99), (28, 112), (96, 96), (256, 256)])
def test_sides_are_whole_multiples(size: int, side: int) -> None:
    sheet = Sheet("t", np.zeros((1, 1, size, size, 3), np.uint8))
    assert sheet.height == sheet.width == side >= MIN_SIDE


def test_tiles_of_another_shape_take_no_room_of_squares() -> None:
    sheet = Sheet("t", TILES[:, :, :3], below=[Text("b")] * 3)
    assert (sheet.times, sheet.height, sheet.width) == (12, 36, 96)
    picture = drawn(sheet)
    x, y = sheet.corner(1, 2)
    np.testing.assert_array_equal(picture[y : y + 36 : 12, x : x + 96 : 12], TILES[1, 2, :3])
    assert y - sheet.corner(0, 2)[1] == 36 + GAP


def test_a_sheet_is_as_wide_as_its_title() -> None:
    assert Sheet("long " * 40, TILES).shape[0] > Sheet("t", TILES).shape[0]


def test_words_are_drawn_beside_tiles_only() -> None:
    plain, told = Sheet("t", TILES, below=[Text("")] * 3), Sheet("t", TILES, below=[Text("p = 1")] * 3)
    different = np.argwhere((drawn(plain) != drawn(told)).any(axis=2))
    assert len(different)
    assert different[:, 0].min() >= told.corner(1, 0)[1] + told.height


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("dent", ["dent"]),
        ("broken_large", ["broken_", "large"]),
        ("missing structure", ["missing", "structure"]),
        ("x_contaminations", ["x_contamina", "tions"]),
        ("contaminations", ["contaminati", "ons"]),
        ("a_very_long_kind_of_defects_that_is_rare", ["a_very_long", "_kind_of_d…"]),
    ],
)
def test_words_above_have_the_room_of_a_tile_and_two_lines(text: str, lines: list[str]) -> None:
    assert lines_of(text, MIN_SIDE) == lines
    assert lines_of(text, 1000) == [text]


def test_two_lines_above_stand_between_the_title_and_the_tiles() -> None:
    above = [Text("dent"), Text("broken_large"), Text("dent")]
    one, two = Sheet("t", TILES, above=[Text("dent")] * 3), Sheet("t", TILES, above=above)
    unseen = Sheet("t", TILES, above=[Text(word.text, LIGHT.paper) for word in above])
    assert two.corner(0, 0)[1] == one.corner(0, 0)[1] + LINE_HEIGHT
    inked = np.argwhere((drawn(two) != drawn(unseen)).any(axis=2))
    assert MARGIN + TITLE_SIZE < inked[:, 0].min() < two.corner(0, 0)[1] - LINE_HEIGHT
    assert inked[:, 0].max() < two.corner(0, 0)[1]
    left, right = two.corner(0, 1)[0], two.corner(0, 1)[0] + two.width
    rows = inked[inked[:, 0] < two.corner(0, 0)[1] - LINE_HEIGHT]
    assert left <= rows[:, 1].min() < rows[:, 1].max() <= right


def test_grey_and_colour_become_tiles() -> None:
    grey, colour = TILES[0, :, :, :, 0][:, None], TILES[0].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(to_tiles(grey), TILES[0, ..., :1].repeat(3, axis=3))
    np.testing.assert_array_equal(to_tiles(colour), TILES[0])


def test_heat_is_drawn_where_it_is() -> None:
    tiles = np.full((1, 8, 8, 3), 200, np.uint8)
    heat = np.zeros((1, 8, 8), np.float32)
    heat[0, 2, 3] = 0.6
    drawn = heat_tiles(tiles, list(heat))
    coloured = np.argwhere(np.ptp(drawn[0].astype(int), axis=2) > 0)
    np.testing.assert_array_equal(coloured, [[2, 3]])


def test_a_small_hot_place_of_a_large_heatmap_is_drawn_on_its_tile() -> None:
    image = whole(np.full((300, 6000, 3), 90, np.uint8), 256)
    assert image.shape == (13, 256, 3)
    heat = np.zeros((300, 6000), np.float32)
    heat[140:142, 4500:4502] = 1
    (tile,) = centred(heat_tiles([image], [heat]), 256, 256)
    coloured = np.argwhere(np.ptp(tile.astype(int), axis=2) > 100)
    np.testing.assert_array_equal(coloured, [[(256 - 13) // 2 + 6, 192]])


@pytest.mark.parametrize("below", [[], [Text("p = 1")] * 3])
def test_a_legend_stands_below_all_and_changes_nothing_above(below: list[Text]) -> None:
    plain, told = Sheet("t", TILES, below=below), Sheet("t", TILES, below=below, legend=True)
    height = plain.shape[1] - MARGIN
    np.testing.assert_array_equal(drawn(plain)[:height], drawn(told)[:height, : plain.shape[0]])
    strip = drawn(told)[height:]
    bar = legend_bar(LEGEND_WIDTH, 1)[0]
    at = [
        x
        for x in range(strip.shape[1] - LEGEND_WIDTH)
        for y in (strip.shape[0] - MARGIN - LEGEND_HEIGHT // 2,)
        if (strip[y, x : x + LEGEND_WIDTH] == bar).all()
    ]
    assert len(at) == 1
    inked = np.flatnonzero((strip != 255).any(axis=(0, 2)))
    assert inked.min() < at[0] - 20  # a word before it
    assert inked.max() > at[0] + LEGEND_WIDTH + 20  # and behind it


def test_words_beside_rows_have_the_room_that_the_longest_needs() -> None:
    words = ("r", "a word of some length")
    short, long, unseen = (
        Sheet("t", TILES, left=[Text(word, colour)] * 2)
        for word, colour in [(words[0], "black"), (words[1], "black"), (words[1], LIGHT.paper)]
    )
    assert long.corner(0, 0)[0] > short.corner(0, 0)[0] > Sheet("t", TILES).corner(0, 0)[0]
    inked = np.argwhere((drawn(long) != drawn(unseen)).any(axis=2))
    assert len(inked)
    assert inked[:, 1].max() < long.corner(0, 0)[0]
