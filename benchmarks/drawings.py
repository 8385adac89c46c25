"""Pictures drawn by number, each unlike any other, and a small model of the larger ones."""

import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

NUM_NORMALS = 120


def draw_line(number: int, side: int) -> bytes:
    """A PNG of a few strokes on noise."""
    rng = np.random.default_rng(number)
    image = Image.fromarray(rng.integers(0, 40, (side, side), dtype=np.uint8))
    points = [(int(x), int(y)) for x, y in rng.integers(4, side - 4, (5, 2))]
    ImageDraw.Draw(image).line(points, fill=int(rng.integers(120, 256)), width=int(rng.integers(1, 5)))
    return _png(np.asarray(image))


def draw_texture(number: int, side: int) -> bytes:
    """A PNG of soft blotches with some noise."""
    rng = np.random.default_rng(number)
    blotches = Image.fromarray(rng.integers(60, 200, (side // 8, side // 8), dtype=np.uint8))
    soft = np.asarray(blotches.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
    return _png(np.clip(soft + rng.integers(-12, 13, (side, side)), 0, 255).astype(np.uint8))


def write_files(folder: Path, count: int, draw: Callable[[int, int], bytes], side: int) -> None:
    """So many pictures as files whose names sort by number."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:06d}.png").write_bytes(draw(number, side))


def train_on_textures(models: Path, side: int) -> Path:
    """Train the bundle `textures` for two steps: it judges badly, but computes as a good one does. Returns `models`."""
    normals = models.with_name("normals")
    write_files(normals, NUM_NORMALS, lambda number, side: draw_texture(10**6 + number, side), side)
    command = [Path(sys.executable).with_name("anomaly"), "train", normals, "--out", models / "textures"]
    command += ["--recipe", "digits", "--size", side, "--steps", 2, "--device", "cpu"]
    for field in ("preprocess.channels=1", "network.width=16", "training.batch_size=8"):
        command += ["--set", field]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    return models


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
