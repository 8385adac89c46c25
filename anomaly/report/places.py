"""The strongest place of a heatmap drawn as a box: white between black lines, so that it is seen on any colours.

The lines lie outside of the place and hide none of it. They and the smallest box grow with the picture, because a large
picture is looked at smaller.
"""

import math

import numpy as np
from PIL import Image, ImageDraw

from anomaly.report.fonts import font_for
from anomaly.report.heat import Rgb
from anomaly.scoring import StrongestPlace

INNER, OUTER = (255, 255, 255), (0, 0, 0)
MIN_LABELLED = 96  # pixels of the shorter side; a number would hide too much of a smaller picture
_MANY = 1000
_SMALLEST_SHARE = 24  # the smallest box has this part of the picture's longer side


def draw_place(picture: Rgb, place: StrongestPlace, *, scale: float = 1.0) -> Rgb:
    """A copy of the picture (h, w, 3) with the place boxed; `scale` is the picture's size over that of the heatmap."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    line, least = math.ceil(math.sqrt(longer) / 8), max(3, longer // _SMALLEST_SHARE)
    left, right = _stretch(place.x * scale, (place.x + place.width) * scale, least)
    top, bottom = _stretch(place.y * scale, (place.y + place.height) * scale, least)
    if left <= 0 and top <= 0 and right >= width and bottom >= height:  # lines around all of it would be outside
        left, top, right, bottom = 2 * line, 2 * line, width - 2 * line, height - 2 * line
    drawn = picture.copy()
    for margin, colour in ((2 * line, OUTER), (line, INNER)):
        drawn[_grown(top, bottom, margin), _grown(left, right, margin)] = colour
    inside = _grown(top, bottom, 0), _grown(left, right, 0)
    drawn[inside] = picture[inside]
    return drawn


def label_place(picture: Rgb, place: StrongestPlace) -> Rgb:
    """Draw the box of `draw_place` and, where the picture is large enough, the place's strength beside it."""
    boxed = draw_place(picture, place)
    height, width = picture.shape[:2]
    if min(height, width) < MIN_LABELLED:
        return boxed
    size = max(10, min(height, width) // 24)
    canvas = Image.fromarray(boxed)
    pen, text = ImageDraw.Draw(canvas), strength_text(place)
    font = font_for(text, size)
    edge = math.ceil(size / 8)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font, stroke_width=edge)
    gap = size // 2 + max(height, width) // _SMALLEST_SHARE // 2  # beyond the lines of the smallest box too
    above, below = place.y - gap - (bottom - top), place.y + place.height + gap
    y = above if above >= 0 else min(below, height - (bottom - top))
    x = min(max(place.x, 0), width - (right - left))
    pen.text((max(0, x) - left, max(0, y) - top), text, INNER, font, stroke_width=edge, stroke_fill=OUTER)
    return np.asarray(canvas)


def strength_text(place: StrongestPlace) -> str:
    """How strong the place is, for people: a multiple of what normal images show.

    Beyond 0.1 to 1,000 it has two digits: less would be 0, and more would be longer than a picture is wide.
    """
    strength = place.strength
    if 0.1 <= strength < _MANY:
        return f"{strength:.1f}×"
    digits = float(f"{strength:.2g}")
    return f"{digits:,.0f}×" if digits >= _MANY else f"{digits:g}×"


def _stretch(first: float, end: float, least: int) -> tuple[int, int]:
    """Whole pixels around an interval, at least so many."""
    missing = max(0.0, least - (end - first))
    return math.floor(first - missing / 2), math.ceil(end + missing / 2)


def _grown(first: int, end: int, margin: int) -> slice:
    return slice(max(0, first - margin), max(0, end + margin))
