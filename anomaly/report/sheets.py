"""Sheets of small images in rows and columns, as PNG files: samples, walks, reconstructions.

Shapes: tiles (rows, columns, height, width, 3) of 8 bits. Every pixel of a tile is drawn as a square of whole pixels,
so that what the model made can be counted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anomaly.data import png_bytes
from anomaly.report.fonts import BOLD, font_for
from anomaly.report.heat import LEGEND, Rgb, fitted, legend_bar, overlay
from anomaly.report.plots import LIGHT

MIN_SIDE = 96  # of a tile on the sheet: its longer side at least
MARGIN, GAP, BREAK = 24, 4, 24
TITLE_HEIGHT, LINE_HEIGHT = 40, 26
TITLE_SIZE, TEXT_SIZE = 20, 15
LEGEND_WIDTH, LEGEND_HEIGHT = 160, 14


@dataclass(frozen=True)
class Text:
    """A word beside a row or a column, and its colour. A name that somebody gave is made `drawable` before."""

    text: str
    colour: str = LIGHT.muted


@dataclass(frozen=True)
class Sheet:
    """Tiles, and what is said about them: a title, words left of the rows, above and below the columns.

    Words above that are wider than a tile are drawn in two lines. What two lines do not hold ends in "…".
    `breaks` are the columns that a wider gap stands before. `legend`: tell below all how heatmaps are read.
    """

    title: str
    tiles: NDArray[np.uint8]
    left: Sequence[Text] = ()
    above: Sequence[Text] = ()
    below: Sequence[Text] = ()
    breaks: Sequence[int] = ()
    legend: bool = False

    @property
    def times(self) -> int:
        """How many pixels a side of the sheet a tile's pixel has: as few as make its longer side at least MIN_SIDE."""
        return -(-MIN_SIDE // int(max(self.tiles.shape[2:4])))

    @property
    def height(self) -> int:
        """A tile's on the sheet."""
        return self.times * int(self.tiles.shape[2])

    @property
    def width(self) -> int:
        """A tile's on the sheet."""
        return self.times * int(self.tiles.shape[3])

    @cached_property
    def headings(self) -> list[list[str]]:
        """The lines of each word above."""
        return [lines_of(word.text, self.width) for word in self.above]

    @cached_property
    def label_width(self) -> int:
        """The width of the words left of the rows, with a gap behind the longest; 0 without words."""
        widths = [_width(word.text) for word in self.left]
        return max(widths) + MARGIN if widths else 0

    @property
    def shape(self) -> tuple[int, int]:
        """The sheet's width and height: as wide as its title at least."""
        rows, columns = self.tiles.shape[:2]
        x, y = self.corner(rows - 1, columns - 1)
        title = 2 * MARGIN + math.ceil(self._title_font.getlength(self.title))
        below = LINE_HEIGHT * bool(self.below) + (LINE_HEIGHT + GAP) * self.legend
        return max(x + self.width + MARGIN, title, self._legend_end), y + self.height + MARGIN + below

    @property
    def _title_font(self) -> ImageFont.FreeTypeFont:
        return font_for(self.title, TITLE_SIZE, BOLD)

    @property
    def _legend_end(self) -> int:
        """The width that the legend needs, with both margins."""
        widths = sum(map(_width, LEGEND)) + LEGEND_WIDTH + 2 * TEXT_SIZE
        return 2 * MARGIN + widths if self.legend else 0

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """X and y of a tile's upper left corner."""
        left = MARGIN + self.label_width + BREAK * sum(column >= place for place in self.breaks)
        top = MARGIN + TITLE_HEIGHT + LINE_HEIGHT * max(map(len, self.headings), default=0)
        return left + column * (self.width + GAP), top + row * (self.height + GAP)

    def png(self) -> bytes:
        """The sheet drawn."""
        picture = Image.new("RGB", self.shape, LIGHT.paper)
        pen = ImageDraw.Draw(picture)
        pen.text((MARGIN, MARGIN), self.title, fill=LIGHT.ink, font=self._title_font, anchor="la")
        for row, column in np.ndindex(self.tiles.shape[:2]):
            picture.paste(Image.fromarray(enlarge(self.tiles[row, column], self.times)), self.corner(row, column))
        self._draw_words(pen)
        if self.legend:
            self._draw_legend(picture, pen)
        return png_bytes(picture, optimize=True)

    def _draw_words(self, pen: ImageDraw.ImageDraw) -> None:
        half = self.width // 2
        for row, word in enumerate(self.left):
            place = MARGIN, self.corner(row, 0)[1] + self.height // 2
            pen.text(place, word.text, fill=word.colour, font=font_for(word.text, TEXT_SIZE), anchor="lm")
        for column, word in enumerate(self.above):
            x, y = self.corner(0, column)
            for up, line in enumerate(reversed(self.headings[column])):
                place, font = (x + half, y - 8 - up * LINE_HEIGHT), font_for(line, TEXT_SIZE)
                pen.text(place, line, fill=word.colour, font=font, anchor="ms")
        for column, word in enumerate(self.below):
            x, y = self.corner(len(self.tiles) - 1, column)
            place, font = (x + half, y + self.height + 8), font_for(word.text, TEXT_SIZE)
            pen.text(place, word.text, fill=word.colour, font=font, anchor="ma")

    def _draw_legend(self, picture: Image.Image, pen: ImageDraw.ImageDraw) -> None:
        """The words of the legend in one line at the bottom, its bar between them."""
        font, y = font_for("".join(LEGEND), TEXT_SIZE), self.shape[1] - MARGIN - LEGEND_HEIGHT // 2
        start = MARGIN + _width(LEGEND[0]) + TEXT_SIZE
        pen.text((MARGIN, y), LEGEND[0], fill=LIGHT.ink, font=font, anchor="lm")
        picture.paste(Image.fromarray(legend_bar(LEGEND_WIDTH, LEGEND_HEIGHT)), (start, y - LEGEND_HEIGHT // 2))
        pen.text((start + LEGEND_WIDTH + TEXT_SIZE, y), LEGEND[1], fill=LIGHT.ink, font=font, anchor="lm")


def enlarge(tile: Rgb, times: int) -> Rgb:
    """(height, width, 3) to so many times each side."""
    return tile.repeat(times, axis=0).repeat(times, axis=1)


def to_tiles(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Preprocessed pixels (n, c, size, size), grey or colour, to tiles (n, size, size, 3)."""
    tiles: NDArray[np.uint8] = np.broadcast_to(pixels, (len(pixels), 3, *pixels.shape[2:])).transpose(0, 2, 3, 1)
    return tiles


def heat_tiles(tiles: Sequence[Rgb] | Rgb, heatmaps: Sequence[NDArray[np.float32]]) -> list[Rgb]:
    """Heatmaps of any size over images (h, w, 3)."""
    return [
        overlay(tile, fitted(heatmap, tile.shape[0], tile.shape[1]))
        for tile, heatmap in zip(tiles, heatmaps, strict=True)
    ]


def whole(image: Rgb, side: int) -> Rgb:
    """An image (h, w, 3) in its own shape, its longer side so many pixels long."""
    scale = side / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(Image.fromarray(image).resize(size))


def centred(images: Sequence[Rgb], height: int, width: int) -> NDArray[np.uint8]:
    """Images (h, w, 3) of up to this height and width as tiles (n, height, width, 3): in the middle of white."""
    tiles = np.full((len(images), height, width, 3), 255, np.uint8)
    for tile, image in zip(tiles, images, strict=True):
        own_height, own_width = image.shape[:2]
        top, left = (height - own_height) // 2, (width - own_width) // 2
        tile[top : top + own_height, left : left + own_width] = image
    return tiles


def lines_of(text: str, width: int) -> list[str]:
    """A word in at most two lines of this width in pixels, parted behind a "_", "-" or space if both parts then fit."""
    if _width(text) <= width:
        return [text]
    end = next(end for end in range(len(text), 0, -1) if _width(text[:end]) <= width)
    mark = max(text.rfind(mark, 0, end) + 1 for mark in "_- ")
    parted = mark if mark and _width(text[mark:]) <= width else end
    second = text[parted:]
    while _width(second) > width:
        second = second.removesuffix("…")[:-1] + "…"
    return [text[:parted].rstrip(), second]


def _width(text: str) -> int:
    """Of a word in pixels."""
    return math.ceil(font_for(text, TEXT_SIZE).getlength(text))
