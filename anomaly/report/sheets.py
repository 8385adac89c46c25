"""Sheets of small images in rows and columns, as PNG files: samples, walks, reconstructions.

Shapes: tiles (rows, columns, size, size, 3) of 8 bits. Every pixel of a tile is drawn as a square of whole pixels, so
that what the model made can be counted.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anomaly.report.pictures import Rgb, overlay
from anomaly.report.plots import LIGHT, Theme

MIN_SIDE = 96  # of a tile on the sheet
MARGIN, GAP, BREAK = 24, 4, 24
TITLE_HEIGHT, LINE_HEIGHT = 40, 26
TITLE_SIZE, TEXT_SIZE = 20, 15
DIMMED = 0.55  # what is left of an image's brightness under its heat
HOTTEST = 0.6  # heat that is drawn as the hottest; an ordinary normal image has at most 0.25


@dataclass(frozen=True)
class Text:
    """A word beside a row or a column, and its colour."""

    text: str
    colour: str = LIGHT.muted


@dataclass(frozen=True)
class Sheet:
    """Tiles, and what is said about them: a title, words left of the rows, above and below the columns.

    `breaks` are the columns that a wider gap stands before.
    """

    title: str
    tiles: NDArray[np.uint8]
    left: Sequence[Text] = ()
    above: Sequence[Text] = ()
    below: Sequence[Text] = ()
    breaks: Sequence[int] = ()

    @property
    def side(self) -> int:
        """A tile's side on the sheet: the least multiple of its own that is at least MIN_SIDE."""
        size: int = self.tiles.shape[2]
        return size * -(-MIN_SIDE // size)

    @cached_property
    def label_width(self) -> int:
        """Of the words left of the rows, with a gap behind the longest; 0 without words."""
        widths = [math.ceil(_font("DejaVuSans", TEXT_SIZE).getlength(word.text)) for word in self.left]
        return max(widths) + MARGIN if widths else 0

    @property
    def shape(self) -> tuple[int, int]:
        """The sheet's width and height: as wide as its title at least."""
        rows, columns = self.tiles.shape[:2]
        x, y = self.corner(rows - 1, columns - 1)
        title = 2 * MARGIN + math.ceil(_font("DejaVuSans-Bold", TITLE_SIZE).getlength(self.title))
        return max(x + self.side + MARGIN, title), y + self.side + MARGIN + (LINE_HEIGHT if self.below else 0)

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """X and y of a tile's upper left corner."""
        left = MARGIN + self.label_width + BREAK * sum(column >= place for place in self.breaks)
        top = MARGIN + TITLE_HEIGHT + (LINE_HEIGHT if self.above else 0)
        return left + column * (self.side + GAP), top + row * (self.side + GAP)

    def png(self, theme: Theme = LIGHT) -> bytes:
        """The sheet drawn."""
        picture = Image.new("RGB", self.shape, theme.paper)
        pen = ImageDraw.Draw(picture)
        pen.text((MARGIN, MARGIN), self.title, fill=theme.ink, font=_font("DejaVuSans-Bold", TITLE_SIZE), anchor="la")
        for row, column in np.ndindex(self.tiles.shape[:2]):
            picture.paste(Image.fromarray(enlarge(self.tiles[row, column], self.side)), self.corner(row, column))
        self._draw_words(pen)
        stream = io.BytesIO()
        picture.save(stream, "png", optimize=True)
        return stream.getvalue()

    def _draw_words(self, pen: ImageDraw.ImageDraw) -> None:
        font, half = _font("DejaVuSans", TEXT_SIZE), self.side // 2
        for row, word in enumerate(self.left):
            pen.text((MARGIN, self.corner(row, 0)[1] + half), word.text, fill=word.colour, font=font, anchor="lm")
        for column, word in enumerate(self.above):
            x, y = self.corner(0, column)
            pen.text((x + half, y - 8), word.text, fill=word.colour, font=font, anchor="ms")
        for column, word in enumerate(self.below):
            x, y = self.corner(len(self.tiles) - 1, column)
            pen.text((x + half, y + self.side + 8), word.text, fill=word.colour, font=font, anchor="ma")


def enlarge(tile: Rgb, side: int) -> Rgb:
    """(size, size, 3) to (side, side, 3), where side is a multiple of size."""
    times = side // len(tile)
    return tile.repeat(times, axis=0).repeat(times, axis=1)


def to_tiles(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Preprocessed pixels (n, c, size, size), grey or colour, to tiles (n, size, size, 3)."""
    tiles: NDArray[np.uint8] = np.broadcast_to(pixels, (len(pixels), 3, *pixels.shape[2:])).transpose(0, 2, 3, 1)
    return tiles


def heat_tiles(tiles: NDArray[np.uint8], heatmaps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Heatmaps (n, size, size) over tiles (n, size, size, 3), dimmed so that heat on white is seen too."""
    dimmed = np.rint(tiles * DIMMED).astype(np.uint8)
    return np.stack([overlay(tile, heatmap / HOTTEST) for tile, heatmap in zip(dimmed, heatmaps, strict=True)])


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """One of those that matplotlib brings along, so that sheets look the same everywhere."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", size)
