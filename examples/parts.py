"""Photographs of parts to try everything on: brushed metal plates with four holes, some of them with a defect.

    python -m examples.parts out/parts

draws a folder as MVTec AD's are: `train/good`, `test/good`, `test/scratch`, `test/stain`, `test/missing_hole`, and
`ground_truth` with a mask for each defect. Beside them, `new_lot` has further good plates, to calibrate on. No two
pictures are alike: plates lie a little shifted and turned, the light comes from another side each time, and the camera
adds noise.
Shapes: pictures (HEIGHT, WIDTH) of 8 bits.
"""

import argparse
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d, rotate, shift

HEIGHT, WIDTH = 480, 640
COUNTS = {
    "train/good": 200, "test/good": 40, "test/scratch": 15, "test/stain": 15, "test/missing_hole": 10, "new_lot": 40,
}  # fmt: skip
_HOLES = [(row, column) for row in (140, 340) for column in (190, 450)]
_RADIUS = 34.0

Picture = NDArray[np.float64]


def main() -> None:
    """Draw the whole folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder to make")
    out = parser.parse_args().out
    for seed, (folder, count) in enumerate(COUNTS.items()):
        kind = folder.partition("/")[2] or "good"
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            picture, defect = draw(kind, rng)
            _save(out / folder / f"{number:03d}.jpg", picture)
            if defect.any():
                _save(out / "ground_truth" / kind / f"{number:03d}_mask.png", np.where(defect, 255.0, 0.0))
    print(f"drew {sum(COUNTS.values())} pictures of {WIDTH} × {HEIGHT} pixels in {out}")


def draw(kind: str, rng: np.random.Generator) -> tuple[Picture, NDArray[np.bool_]]:
    """A photograph in 0 … 255, and where its defect is; `kind` is good, scratch, stain or missing_hole."""
    holes = list(_HOLES)
    defect: Picture = np.zeros((HEIGHT, WIDTH))
    missing = holes.pop(int(rng.integers(len(holes)))) if kind == "missing_hole" else None
    plate: Picture = 150.0 + 14.0 * gaussian_filter1d(rng.normal(size=(HEIGHT, WIDTH)), 12.0, axis=1) * math.sqrt(12.0)
    for hole in holes:
        plate *= 1.0 - 0.75 * _disc(*hole, _RADIUS)
    match kind:
        case "scratch":
            defect = _scratch(rng)
            plate += 60.0 * defect * (1.0 if rng.random() < 0.5 else -1.0)
        case "stain":
            row, column, radius = rng.uniform(60, HEIGHT - 60), rng.uniform(60, WIDTH - 60), rng.uniform(12, 26)
            defect = _disc(row, column, radius)
            plate -= 45.0 * defect
    if missing is not None:
        defect = _disc(*missing, _RADIUS)
    angle, moved = rng.normal(0.0, 0.6), rng.normal(0.0, 3.0, size=2)
    plate = _lying(plate, angle, moved)
    return _photograph(plate, rng), _lying(defect, angle, moved) > 0.5 if defect.any() else defect > 0.5


def _lying(plate: Picture, angle: float, moved: NDArray[np.float64]) -> Picture:
    turned = rotate(plate, angle, reshape=False, order=1, mode="nearest")
    return np.asarray(shift(turned, moved, order=1, mode="nearest"))


def _photograph(plate: Picture, rng: np.random.Generator) -> Picture:
    """Uneven light, a lens that is not quite sharp, and noise."""
    rows, columns = np.ogrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    direction = rng.uniform(0.0, 2.0 * math.pi)
    light = 1.0 + 0.12 * (rows * math.sin(direction) + columns * math.cos(direction)) + rng.normal(0.0, 0.03)
    seen = gaussian_filter(plate, 0.8) * light + rng.normal(0.0, 3.0, size=plate.shape)
    return np.asarray(np.clip(seen, 0.0, 255.0))


def _scratch(rng: np.random.Generator) -> Picture:
    """A wandering line of about three pixels, 0 … 1."""
    angle, turn = rng.uniform(0.0, 2.0 * math.pi), rng.normal(0.0, 0.008)
    row, column = rng.uniform(120, HEIGHT - 120), rng.uniform(160, WIDTH - 160)
    line = np.zeros((HEIGHT, WIDTH))
    for _ in range(int(rng.integers(80, 200))):
        line[int(row) % HEIGHT, int(column) % WIDTH] = 1.0
        row, column, angle = row + math.sin(angle), column + math.cos(angle), angle + turn
    blurred = gaussian_filter(line, 1.2)
    return np.asarray(np.minimum(2.0 * blurred / blurred.max(), 1.0))


def _disc(row: float, column: float, radius: float) -> Picture:
    """1 inside, 0 outside, soft at the edge."""
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    return np.asarray(np.clip(radius - np.hypot(rows - row, columns - column), 0.0, 1.0))


def _save(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(picture).astype(np.uint8)).save(path, quality=92)


if __name__ == "__main__":
    main()
