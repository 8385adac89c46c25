"""Large pictures with tiny faults: solar cells of ELPV mono laid side by side, 4 × 3, in 1,200 × 900 grey pixels.

    python -m benchmarks.mosaics --data DATA_DIR --out FOLDER [--seed 0]

FOLDER/tree is an MVTec-style tree: 280 normals to train on, 100 normal and 150 anomalous test pictures with masks.
FOLDER/calibrate has 120 more normals, for `anomaly calibrate`. Normal cells are those of defect probability 0. They are
drawn with replacement, and no cell is in two of the three: what trains, what calibrates, and the test. So the 99
normals that `anomaly train` itself would set aside of 400 do not do: their cells are trained on as well. Pictures of
one set share cells, so they are no independent draws: `shared_cells` says what that does to false alarms.

An anomalous picture has one fault of 4 to 8 pixels: a spot or a short scratch, dark or bright. A picture follows from
the cells, seed and number; one with a fault is the normal one of the same number but for the fault.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

COLUMNS, ROWS, SIDE = 4, 3, 300
SMALLEST, LARGEST = 4, 8  # pixels, a fault's long side
FAULTS = ("spot", "scratch")
NUM_TRAIN, NUM_CALIBRATE, NUM_GOOD, NUM_FAULTS = 280, 120, 100, 75
"""Pictures; the last of each kind of fault."""

NUM_CELLS = 588
"""Normal cells of ELPV mono."""

_SHARES = (0.5, 0.25)  # of the cells: to train on, to calibrate with; the others are the test's
_CONTRAST = (50, 90)  # grey levels from what lies there
_MARGIN = 16  # pixels from the picture's edge
_FINE = 4  # faults are drawn at so many times the size
_SEEN = 4.0  # grey levels that make a mask

Picture = NDArray[np.uint8]


class Cells(NamedTuple):
    """Files, none in two lists."""

    train: list[Path]
    calibrate: list[Path]
    test: list[Path]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder elpv-mono, or that of all data sets")
    parser.add_argument("--out", type=Path, required=True, help="made if missing")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    write_mosaics(args.data, args.out, (NUM_TRAIN, NUM_CALIBRATE, NUM_GOOD, NUM_FAULTS), seed=args.seed)


def write_mosaics(data: Path, folder: Path, nums: tuple[int, int, int, int], *, seed: int = 0) -> None:
    """`nums`: pictures to train on, to calibrate with, of the test without a fault, and with each kind of fault."""
    num_train, num_calibrate, num_good, num_faults = nums
    cells = split_cells(_normal_cells(data), seed=seed)
    train, calibrate, test = ([_opened(path) for path in paths] for paths in cells)
    tree = folder / "tree"
    places = [(train, tree / "train" / "good", "")] * num_train
    places += [(calibrate, folder / "calibrate", "")] * num_calibrate
    places += [(test, tree / "test" / "good", "")] * num_good
    places += [(test, tree / "test" / fault, fault) for fault in FAULTS for _ in range(num_faults)]
    for number, (drawn_from, place, fault) in enumerate(places):
        picture, mask = draw_mosaic(drawn_from, seed, number, fault)
        _save(picture, place / f"{number:04d}.png")
        if fault:
            _save(mask.astype(np.uint8) * 255, tree / "ground_truth" / fault / f"{number:04d}_mask.png")


def split_cells(paths: Sequence[Path], *, seed: int) -> Cells:
    """Draws what trains, what calibrates, and what tests."""
    drawn = [paths[index] for index in np.random.default_rng(seed).permutation(len(paths))]
    num_train, num_calibrate = (round(share * len(drawn)) for share in _SHARES)
    rest = drawn[num_train:]
    return Cells(drawn[:num_train], rest[:num_calibrate], rest[num_calibrate:])


def draw_mosaic(cells: Sequence[Picture], seed: int, number: int, fault: str = "") -> tuple[Picture, NDArray[np.bool_]]:
    """A picture (900, 1200) of cells (300, 300), and where its fault is."""
    chosen = np.random.default_rng([seed, number]).integers(len(cells), size=(ROWS, COLUMNS))
    normal = np.vstack([np.hstack([cells[index] for index in row]) for row in chosen])
    if not fault:
        return normal, np.zeros(normal.shape, np.bool_)
    seen = _spoilt(normal, fault, np.random.default_rng([seed, number, 1]))
    return np.rint(seen).astype(np.uint8), np.abs(seen - normal) >= _SEEN


def shared_cells(draws: int = 4_000, *, seed: int = 0, coverage: float = 0.95) -> tuple[float, float, float]:
    """The mean share of flagged test normals, and the interval of such shares, as far as shared cells make it.

    By simulation: all cells are alike and independent, a picture's score is that of its strongest cell, and what is
    above all pictures that calibrate is flagged, which is a false-alarm rate of 1 % for 120 independent pictures.
    """
    rng = np.random.default_rng(seed)
    num_train, num_calibrate = (round(share * NUM_CELLS) for share in _SHARES)
    num_test = NUM_CELLS - num_train - num_calibrate
    shares = np.empty(draws)
    for index in range(draws):
        calibrate = _strongest(rng.random(num_calibrate), NUM_CALIBRATE, rng)
        shares[index] = (_strongest(rng.random(num_test), NUM_GOOD, rng) > calibrate.max()).mean()
    low, high = np.quantile(shares, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(shares.mean()), float(low), float(high)


def _strongest(cells: NDArray[np.float64], num_pictures: int, rng: np.random.Generator) -> NDArray[np.float64]:
    pictures: NDArray[np.float64] = cells[rng.integers(len(cells), size=(num_pictures, ROWS * COLUMNS))].max(axis=1)
    return pictures


def _spoilt(normal: Picture, fault: str, rng: np.random.Generator) -> NDArray[np.float64]:
    height, width = normal.shape
    long, angle = rng.uniform(SMALLEST, LARGEST), rng.uniform(0, np.pi)
    left, top = (int(rng.integers(_MARGIN, side - _MARGIN - 2 * LARGEST)) for side in (width, height))
    side = 2 * LARGEST  # pixels of the window that the fault is drawn in
    stencil = Image.new("L", (side * _FINE, side * _FINE))
    draw, middle, reach = ImageDraw.Draw(stencil), side * _FINE / 2, long * _FINE / 2
    if fault == "scratch":
        across, down = np.cos(angle) * reach, np.sin(angle) * reach
        draw.line([(middle - across, middle - down), (middle + across, middle + down)], fill=255, width=2 * _FINE)
    else:
        narrow = reach * rng.uniform(0.7, 1)
        draw.ellipse((middle - reach, middle - narrow, middle + reach, middle + narrow), fill=255)
    opacity = np.asarray(stencil.reduce(_FINE)) / 255
    seen = normal.astype(np.float64)
    window = seen[top : top + side, left : left + side]
    level, contrast = window.mean(), rng.uniform(*_CONTRAST)
    is_bright = rng.random() < 0.5 if contrast < level < 255 - contrast else level <= contrast
    target = level + contrast if is_bright else level - contrast
    window += opacity * (target.clip(0, 255) - window)
    return seen


def _normal_cells(data: Path) -> list[Path]:
    folder = data / "elpv-mono" if (data / "elpv-mono").is_dir() else data
    with (folder / "labels.csv").open(newline="") as file:
        return sorted(folder / row["image"] for row in csv.DictReader(file) if float(row["defect_probability"]) == 0)


def _opened(path: Path) -> Picture:
    with Image.open(path) as image:
        return np.asarray(image.convert("L").resize((SIDE, SIDE)))


def _save(pixels: Picture, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)


if __name__ == "__main__":
    main()
