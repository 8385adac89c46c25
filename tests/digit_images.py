"""Small real images, as arrays and as files: scikit-learn's digits."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.data import open_dataset

Pixels = NDArray[np.uint8]


@cache
def digits(split: str, *kinds: str) -> Pixels:
    """(n, 8, 8): the digits of these kinds, without duplicates; of all kinds if none is named."""
    samples = [
        s for s in open_dataset("digits", normal=["0"]).samples if s.split == split and s.kind in (kinds or s.kind)
    ]
    images = {s.pixels.tobytes(): s.pixels for s in samples if s.pixels is not None}
    return np.stack(list(images.values()))


def normals() -> Pixels:
    """Zeros of the test split, which the bundles have not seen: (35, 8, 8)."""
    return digits("test", "0")


def others() -> Pixels:
    """Digits other than 0 of the test split."""
    return digits("test", *"123456789")


def write_images(folder: Path, images: Sequence[Pixels] | Pixels, suffix: str = ".png") -> list[Path]:
    """Each image as `folder`/NUMBER`suffix`, losslessly."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}{suffix}" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths
