"""The two commands that each peer's script has. Run by the peer's own Python: standard library, numpy and Pillow only.

    SCRIPT [OPTIONS] train FOLDER MODEL --side N --minutes M      MODEL is a folder that is made
    SCRIPT [OPTIONS] score MODEL INPUT OUT.csv                    INPUT is an image or a folder of images

Images are read by Pillow as grey and scaled to N × N pixels. Higher scores are more anomalous.
"""

import argparse
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

BATCH = 256
Train = Callable[[list[Path], Path, argparse.Namespace], None]
Load = Callable[[Path, int], Callable[[list[Path]], Any]]


def run(parser: argparse.ArgumentParser, train: Train, load: Load) -> None:
    """`load(MODEL, side of its images)` returns a function from files to their scores."""
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train")
    command.add_argument("folder", type=Path)
    command.add_argument("model", type=Path)
    command.add_argument("--side", type=int, required=True)
    command.add_argument("--minutes", type=float, required=True)
    command = commands.add_parser("score")
    command.add_argument("model", type=Path)
    command.add_argument("input", type=Path)
    command.add_argument("out", type=Path)
    options = parser.parse_args()
    if options.command == "train":
        options.model.mkdir(parents=True, exist_ok=True)
        train(_files(options.folder), options.model, options)
        (options.model / "side.json").write_text(json.dumps(options.side), encoding="utf-8")
        return
    score = load(options.model, json.loads((options.model / "side.json").read_text(encoding="utf-8")))
    files = _files(options.input)
    with options.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "score"])
        for batch in _batches(files):
            scores = [float(each) for each in score(batch)]
            writer.writerows(zip(batch, scores, strict=True))
    print(f"{files[-1]}: {scores[-1]:.6g}")


def read_vectors(files: Sequence[Path], side: int) -> Any:
    """(n, side · side), in [0, 1]."""
    pixels = np.empty((len(files), side * side), np.float32)
    for row, file in zip(pixels, files, strict=True):
        row[:] = np.asarray(read(file, side), np.float32).ravel() / 255
    return pixels


def read(file: Path, side: int) -> Image.Image:
    """Grey, side × side."""
    with Image.open(file) as image:
        grey = image.convert("L")
    return grey if grey.size == (side, side) else grey.resize((side, side), Image.Resampling.BILINEAR)


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.png")) if path.is_dir() else [path]


def _batches(files: Sequence[Path]) -> Iterator[list[Path]]:
    for start in range(0, len(files), BATCH):
        yield list(files[start : start + BATCH])
