"""What the recipes of parts cost: training, the bundle, the score of a small picture and of one of 12 megapixels.

    python -m benchmarks.parts_cost [--images 1000] [--scored 400] [--large 24] [--only small,large]

small   `anomaly train --recipe parts` on so many JPEGs of 256 × 256 pixels, in seconds; the bundle, in MB; `anomaly
        score` on `--scored` such files, in images a second, and the peak of its memory
large   `anomaly train --recipe large-parts` on `--large` JPEGs of 4,000 × 3,000 pixels at their own resolution, and
        `anomaly score` on four more, in seconds for each

All are whole commands from files, as they are typed. A score's cost is that of many files less that of one, so the
start of the program, which is printed too, is not in it. The pictures are drawn: one scene, in other light and noise
each time. So places lie alike, and everything that a recipe may keep is worth keeping: that is its highest cost.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import measured
from benchmarks.checkouts import CLI
from benchmarks.rows import machine

SMALL, LARGE = (256, 256), (4000, 3000)
NUM_LARGE_SCORED = 4
LIMIT_S = 3600
_BLOTCH = 24  # pixels


class _Cost(NamedTuple):
    seconds: float
    peak_mb: float


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help="small pictures to train on")
    parser.add_argument("--scored", type=int, default=400, help="small pictures to score")
    parser.add_argument("--large", type=int, default=24, help="large pictures to train on")
    parser.add_argument("--only", default="small,large", help="some of the two")
    options = parser.parse_args()
    print(machine())
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            if name == "small":
                measure(Path(folder), "parts", SMALL, options.images, options.scored)
            else:
                own = ("--set", "preprocess.scale=1")
                measure(Path(folder), "large-parts", LARGE, options.large, NUM_LARGE_SCORED, *own)


def measure(root: Path, recipe: str, size: tuple[int, int], num_train: int, num_scored: int, *more: str) -> None:
    """One recipe's figures."""
    train, scored, one, model = (root / name for name in ("train", "scored", "one", "model"))
    for folder, first, number in ((train, 0, num_train), (scored, num_train, num_scored), (one, 0, 1)):
        _write(folder, first, number, size)
    shape = f"{size[0]:,} × {size[1]:,} pixels"
    trained = _run(root, "train", train, "--recipe", recipe, "--out", model, *more)
    print(f"{recipe}, {num_train:,} pictures of {shape}: trained in {trained.seconds:.0f} s, {_peak(trained)}")
    num_bytes = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
    print(f"{recipe}: a bundle of {num_bytes / 1e6:.1f} MB")
    start = _run(root, "score", model, one, "--out", root / "one.csv")
    whole = _run(root, "score", model, scored, "--out", root / "scored.csv")
    each = (whole.seconds - start.seconds) / (num_scored - 1)
    print(
        f"{recipe}, {shape}: {1 / each:.1f} images a second, {each:.2f} s each, {_peak(whole)}; "
        f"the command for one picture takes {start.seconds:.1f} s",
        flush=True,
    )


def _run(root: Path, *words: object) -> _Cost:
    figures = root / "figures.json"
    command = [sys.executable, "-S", measured.__file__, figures, LIMIT_S, *CLI, *words]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return _Cost(**json.loads(figures.read_text("utf-8")))


def _peak(cost: _Cost) -> str:
    return f"{cost.peak_mb:,.0f} MB of memory at most"


def _write(folder: Path, first: int, count: int, size: tuple[int, int]) -> None:
    folder.mkdir()
    for number in range(first, first + count):
        Image.fromarray(_picture(number, size)).save(folder / f"{number:06d}.jpg", quality=90)


def _picture(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The scene (h, w, 3) in the light and noise of this number."""
    rng = np.random.default_rng(number)
    noise = rng.integers(-6, 7, (size[1], size[0], 1), dtype=np.int16)
    picture: NDArray[np.uint8] = np.clip(_scene(size) * rng.uniform(0.95, 1.05) + noise, 0, 255).astype(np.uint8)
    return picture


@lru_cache(maxsize=1)
def _scene(size: tuple[int, int]) -> NDArray[np.float32]:
    coarse = np.random.default_rng(0).integers(40, 220, (size[1] // _BLOTCH, size[0] // _BLOTCH, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.float32)


if __name__ == "__main__":
    main()
