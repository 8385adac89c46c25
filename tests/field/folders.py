"""Folders as people have them: small pictures of parts, defects and masks, and what systems leave beside them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

What = Literal["part", "cut", "mask", "blank", "text", "apple", "colour"]
Entry = tuple[str, int, What]
SIDE = 16
_APPLE_DOUBLE = bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(40)


def part(seed: int, *, is_cut: bool = False) -> NDArray[np.uint8]:
    """A bright disc in noise, so each seed is another picture; a cut is a dark corner."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    disc = (rows - SIDE / 2) ** 2 + (columns - SIDE / 2) ** 2 < (0.35 * SIDE) ** 2
    picture = np.where(disc, 190.0, 60.0) + rng.normal(0, 8, (SIDE, SIDE))
    if is_cut:
        picture[3:7, 3:7] = 5
    return picture.clip(0, 255).astype(np.uint8)


def cut_mask() -> NDArray[np.uint8]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[3:7, 3:7] = 255
    return mask


def write_one(path: Path, what: What, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    match what:
        case "text":
            path.write_text("text")
        case "apple":
            path.write_bytes(_APPLE_DOUBLE)
        case "mask":
            Image.fromarray(cut_mask()).save(path)
        case "blank":
            Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(path)
        case "colour":
            tints = np.array([1.0, 0.8, 0.6])
            Image.fromarray((part(seed)[:, :, None] * tints).astype(np.uint8)).save(path)
        case _:
            Image.fromarray(part(seed, is_cut=what == "cut")).save(path)


def make(root: Path, entries: Iterable[Entry]) -> Path:
    """Each entry is a pattern of paths such as "train/good/{:03}.png", how many of them, and what they are."""
    seed = 0
    for pattern, number, what in entries:
        for index in range(number):
            write_one(root / pattern.format(index), what, seed)
            seed += 1
    return root


def product(name: str = "", splits: Sequence[str] = ("train", "test")) -> list[Entry]:
    """A small product in MVTec's layout under `name`."""
    every: list[Entry] = [
        (f"{name}train/good/{{:03}}.png", 24, "part"),
        (f"{name}test/good/{{:03}}.png", 8, "part"),
        (f"{name}test/cut/{{:03}}.png", 4, "cut"),
        (f"{name}ground_truth/cut/{{:03}}_mask.png", 4, "mask"),
    ]
    return [entry for entry in every if any(entry[0].startswith(f"{name}{split}/") for split in splits)] + (
        [every[3]] if "test" in splits else []
    )
