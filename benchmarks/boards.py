"""Circuit boards drawn by program: one layout, photographed again and again, and small defects with their masks.

    python -m benchmarks.boards --out FOLDER [--num-train 260] [--num-good 100] [--num-defects 50] [--seed 0]

Grey pictures of 1,280 × 960 as an MVTec-style tree; so many defects of each kind. In each picture the board is shifted
by up to 10 pixels and turned by up to 1°, its small parts are placed and coloured a little differently, the light is
uneven and there is noise. A defect is 5 to 20 pixels long: a scratch, a small part that is missing, or a smear.

A picture follows from seed, number and kind alone. A defective picture is the normal one of the same number but for
its defect: shift, turn, light and noise are the same. Its mask is where the two differ by at least 4 grey levels before
the noise.
"""

import argparse
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 1280, 960
KINDS = ("scratch", "missing", "smear")
GOOD = "good"
SMALLEST, LARGEST = 5, 20  # pixels, a defect's long side

_FINE = 2  # drawn at so many times the size, for smooth edges
_EDGE = 60  # pixels of table around the board
_LAYOUT_SEED = 18
_SHIFT, _TURN = 10.0, 1.0  # pixels, degrees
_LIGHT, _NOISE = 0.12, 3.0  # share of the brightness, grey levels
_JITTER, _SHADE = 1.0, 6.0  # of small parts: pixels, grey levels
_CONTRAST = {"scratch": (35, 70), "smear": (30, 60)}  # grey levels from what lies there
_SEEN = 4.0  # grey levels that make a mask
_TABLE, _BOARD, _TRACK, _METAL, _BODY, _PRINT = 35, 90, 112, 180, 48, 200

Box = tuple[float, float, float, float]
Picture = NDArray[np.uint8]


class _Layout(NamedTuple):
    """What is fixed, in pixels: boxes are (left, top, right, bottom); small parts have their grey level."""

    tracks: list[list[tuple[float, float]]]
    vias: list[tuple[float, float, float]]
    chips: list[Box]
    parts: list[tuple[Box, int]]
    marks: list[Box]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the tree; made if missing")
    parser.add_argument("--num-train", type=int, default=260)
    parser.add_argument("--num-good", type=int, default=100, help="normal test pictures")
    parser.add_argument("--num-defects", type=int, default=50, help="test pictures of each kind")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    write_boards(args.out, args.num_train, args.num_good, args.num_defects, seed=args.seed)


def write_boards(folder: Path, num_train: int, num_good: int, num_defects: int, *, seed: int = 0) -> None:
    """The tree; no two pictures have one number."""
    places = [("train", GOOD)] * num_train + [("test", GOOD)] * num_good
    places += [("test", kind) for kind in KINDS for _ in range(num_defects)]
    for number, (split, kind) in enumerate(places):
        picture, mask = draw_board(seed, number, kind)
        _save(picture, folder / split / kind / f"{number:04d}.png")
        if kind != GOOD:
            _save(mask.astype(np.uint8) * 255, folder / "ground_truth" / kind / f"{number:04d}_mask.png")


def draw_board(seed: int, number: int, kind: str = GOOD) -> tuple[Picture, NDArray[np.bool_]]:
    """A picture (960, 1280), and where its defect is."""
    rng = np.random.default_rng([seed, number])
    jitter = rng.uniform(-_JITTER, _JITTER, (len(_layout().parts), 2))
    shade = rng.uniform(-_SHADE, _SHADE, len(_layout().parts))
    turn, shift = np.deg2rad(rng.uniform(-_TURN, _TURN)), rng.uniform(-_SHIFT, _SHIFT, 2)
    light = _light(rng)
    noise = rng.normal(0, _NOISE, (HEIGHT, WIDTH))
    board = _drawn(jitter, shade)
    normal = _moved(board, turn, shift) * light
    seen = normal
    if kind != GOOD:
        seen = (
            _moved(_spoilt(board, jitter, shade, kind, np.random.default_rng([seed, number, 1])), turn, shift) * light
        )
    picture = np.rint(seen + noise).clip(0, 255).astype(np.uint8)
    return picture, np.abs(seen - normal) >= _SEEN


@lru_cache(maxsize=1)
def _layout() -> _Layout:
    rng = np.random.default_rng(_LAYOUT_SEED)
    taken = np.zeros((HEIGHT, WIDTH), np.bool_)
    chips = [_free_place(rng, taken, *rng.integers(90, 180, 2), gap=24) for _ in range(9)]
    parts = [(_free_place(rng, taken, *size, gap=10), int(level)) for size, level in _sizes_of_parts(rng, 130)]
    marks = [_free_place(rng, taken, *rng.integers([20, 8], [60, 12]), gap=6) for _ in range(70)]
    vias = [(*_free_place(rng, taken, 10, 10, gap=3)[:2], float(rng.uniform(3.5, 5))) for _ in range(160)]
    tracks = [_bent(rng) for _ in range(70)]
    return _Layout(tracks, vias, chips, parts, marks)


def _sizes_of_parts(rng: np.random.Generator, num: int) -> list[tuple[NDArray[np.int64], int]]:
    """Long side at most 18 pixels, so that a missing one is a small defect; lying or standing."""
    sizes = rng.integers([12, 6], [18, 10], (num, 2))
    return [
        (rng.permutation(size), int(level)) for size, level in zip(sizes, rng.choice([_BODY, 135], num), strict=True)
    ]


def _free_place(rng: np.random.Generator, taken: NDArray[np.bool_], width: int, height: int, *, gap: int) -> Box:
    """Where nothing lies yet; takes it."""
    while True:
        left = int(rng.integers(_EDGE + gap, WIDTH - _EDGE - gap - width))
        top = int(rng.integers(_EDGE + gap, HEIGHT - _EDGE - gap - height))
        around = taken[top - gap : top + height + gap, left - gap : left + width + gap]
        if not around.any():
            taken[top : top + height, left : left + width] = True
            return left, top, left + int(width), top + int(height)


def _bent(rng: np.random.Generator) -> list[tuple[float, float]]:
    """A track with one corner."""
    x = rng.integers(_EDGE + 10, WIDTH - _EDGE - 10, 2)
    y = rng.integers(_EDGE + 10, HEIGHT - _EDGE - 10, 2)
    return [(int(x[0]), int(y[0])), (int(x[1]), int(y[0])), (int(x[1]), int(y[1]))]


def _drawn(jitter: NDArray[np.float64], shade: NDArray[np.float64], without: int | None = None) -> Image.Image:
    """The board as it is designed, at `_FINE` times the size; of the small part `without` only its pads are there."""
    layout = _layout()
    image = Image.new("L", (WIDTH * _FINE, HEIGHT * _FINE), _TABLE)
    draw = ImageDraw.Draw(image)
    draw.rectangle(_fine((_EDGE, _EDGE, WIDTH - _EDGE, HEIGHT - _EDGE)), fill=_BOARD)
    for track in layout.tracks:
        draw.line([(_FINE * x, _FINE * y) for x, y in track], fill=_TRACK, width=3 * _FINE)
    for x, y, radius in layout.vias:
        draw.ellipse(_fine((x, y, x + 2 * radius, y + 2 * radius)), fill=_METAL)
        draw.ellipse(_fine((x + radius - 1.5, y + radius - 1.5, x + radius + 1.5, y + radius + 1.5)), fill=_BODY)
    for chip in layout.chips:
        _draw_chip(draw, chip)
    for index, ((left, top, right, bottom), level) in enumerate(layout.parts):
        across, down = (3, 0) if right - left > bottom - top else (0, 3)
        draw.rectangle(_fine((left - across, top - down, right + across, bottom + down)), fill=_TRACK + 30)
        if index != without:
            x, y = jitter[index]
            body = (left + x, top + y, right + x, bottom + y)
            draw.rectangle(_fine(body), fill=_METAL)
            inner = (body[0] + across, body[1] + down, body[2] - across, body[3] - down)
            draw.rectangle(_fine(inner), fill=level + round(shade[index]))
    for number, mark in enumerate(layout.marks):
        _draw_mark(draw, mark, number)
    return image


def _draw_chip(draw: ImageDraw.ImageDraw, chip: Box) -> None:
    left, top, right, bottom = chip
    for x in np.arange(left + 6, right - 8, 10):
        draw.rectangle(_fine((x, top - 8, x + 4, bottom + 8)), fill=_METAL)
    draw.rectangle(_fine(chip), fill=_BODY)
    draw.ellipse(_fine((left + 6, top + 6, left + 12, top + 12)), fill=_BODY + 25)
    _draw_mark(draw, (left + 20, (top + bottom) / 2 - 5, right - 20, (top + bottom) / 2 + 5), int(left))


def _draw_mark(draw: ImageDraw.ImageDraw, mark: Box, number: int) -> None:
    """Strokes like letters, fixed for each mark."""
    rng = np.random.default_rng([_LAYOUT_SEED, number])
    left, top, right, bottom = mark
    for x in np.arange(left, right - 5, 8):
        points = [
            (_FINE * float(x + a), _FINE * float(b))
            for a, b in zip(rng.uniform(0, 5, 3), rng.uniform(top, bottom, 3), strict=True)
        ]
        draw.line(points, fill=_PRINT, width=_FINE)


def _spoilt(
    board: Image.Image, jitter: NDArray[np.float64], shade: NDArray[np.float64], kind: str, rng: np.random.Generator
) -> Image.Image:
    """The same board with a defect of this kind."""
    if kind == "missing":
        return _drawn(jitter, shade, without=int(rng.integers(len(jitter))))
    long = rng.uniform(SMALLEST, LARGEST)
    x, y = rng.uniform(_EDGE + LARGEST, (WIDTH - _EDGE - LARGEST, HEIGHT - _EDGE - LARGEST))
    angle = rng.uniform(0, np.pi)
    stencil = Image.new("L", board.size)
    draw = ImageDraw.Draw(stencil)
    if kind == "scratch":
        across, down = np.cos(angle) * long / 2, np.sin(angle) * long / 2
        line = [(_FINE * (x - across), _FINE * (y - down)), (_FINE * (x + across), _FINE * (y + down))]
        draw.line(line, fill=255, width=int(rng.integers(2, 5)))
    else:
        wide = long * rng.uniform(0.5, 1) / 2
        draw.ellipse(_fine((x - long / 2, y - wide, x + long / 2, y + wide)), fill=255)
        stencil = stencil.filter(ImageFilter.GaussianBlur(_FINE * long / 12))
    window = _fine((x - long / 2, y - long / 2, x + long / 2, y + long / 2))
    around = np.asarray(board.resize((8, 8), box=window))
    level, contrast = around.mean(), rng.uniform(*_CONTRAST[kind])
    level += contrast if rng.random() < 0.5 or level < contrast + _TABLE else -contrast
    return Image.composite(Image.new("L", board.size, round(level)), board, stencil)


def _moved(board: Image.Image, turn: float, shift: NDArray[np.float64]) -> NDArray[np.float32]:
    """Turned about its middle, then shifted, at the picture's size."""
    cos, sin = np.cos(turn), np.sin(turn)
    x, y = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    moved_x, moved_y = x + float(shift[0]), y + float(shift[1])
    matrix = (cos, sin, x - cos * moved_x - sin * moved_y, -sin, cos, y + sin * moved_x - cos * moved_y)
    plain = board.reduce(_FINE).convert("F")
    return np.asarray(
        plain.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=_TABLE)
    )


def _light(rng: np.random.Generator) -> NDArray[np.float32]:
    """A smooth field about 1 from a grid of 3 × 4 lamps."""
    lamps = Image.fromarray((1 + rng.uniform(-_LIGHT, _LIGHT, (3, 4))).astype(np.float32))
    return np.asarray(lamps.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def _fine(box: Box) -> Box:
    left, top, right, bottom = (_FINE * side for side in box)
    return left, top, right, bottom


def _save(pixels: Picture, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)


if __name__ == "__main__":
    main()
