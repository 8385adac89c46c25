"""MNIST's own format: IDX files of images and labels, plain or compressed with gzip.

A header of big-endian 32-bit integers (a magic number, then the length of each axis) and then one byte for each value.
Source: http://yann.lecun.com/exdb/mnist/, "THE IDX FILE FORMAT".
"""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from anomaly.counted import counted
from anomaly.data.datasets.samples import Dataset, Sample, Split, check_normal
from anomaly.data.decoding.decode import Pixels
from anomaly.errors import DataError, reason_of

_PREFIXES: dict[Split, str] = {"train": "train", "test": "t10k"}


def is_idx_folder(folder: Path) -> bool:
    """Whether the images of at least one split are there."""
    return any(_find(folder, prefix, "images", axes=3) for prefix in _PREFIXES.values())


def open_idx(folder: Path, normal: Sequence[str]) -> Dataset:
    """The splits that are there; classes are the labels as decimal strings.

    Raises:
        DataError: a file is missing, damaged or does not fit its partner, or `normal` is not among the classes.
    """
    name = folder.resolve().name
    splits: dict[Split, tuple[Pixels, list[str]]] = {
        split: _read_split(folder, prefix)
        for split, prefix in _PREFIXES.items()
        if _find(folder, prefix, "images", axes=3)
    }
    classes = sorted({kind for _, kinds in splits.values() for kind in kinds}, key=int)
    check_normal(normal, classes, str(folder))
    samples = tuple(
        Sample(f"{name}/{split}/{index:05d}", split, "normal" if kind in normal else "anomalous", kind, pixels)
        for split, (images, kinds) in splits.items()
        for index, (pixels, kind) in enumerate(zip(images, kinds, strict=True))
    )
    return Dataset(str(folder), "idx", samples)


def read_idx(path: Path, axes: int) -> Pixels:
    """The bytes of one IDX file as uint8 with that many axes.

    Raises:
        DataError: the file cannot be read, or is not what its header says.
    """
    data = _read(path)
    magic = bytes((0, 0, 8, axes))
    if data[:4] != magic:
        raise DataError(
            f"{path}: starts with {data[:4].hex() or 'nothing'}; expected {magic.hex()}, which begins an IDX file of "
            f"bytes with {axes} axes"
        )
    start = 4 + 4 * axes
    shape = tuple(int.from_bytes(data[at : at + 4]) for at in range(4, start, 4))
    num_values = len(data) - start
    if num_values != math.prod(shape) or 0 in shape:
        raise DataError(
            f"{path}: its header says {' × '.join(map(str, shape))}, which is "
            f"{counted(math.prod(shape), 'value')}, but it has {max(0, num_values):,}; fetch it again"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _find(folder: Path, prefix: str, what: str, axes: int) -> Path | None:
    """Both spellings that are about, `images-idx3` and `images.idx3`, and both ways to keep them."""
    names = (f"{prefix}-{what}{dot}idx{axes}-ubyte{suffix}" for dot in "-." for suffix in ("", ".gz"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_split(folder: Path, prefix: str) -> tuple[Pixels, list[str]]:
    images_path, labels_path = _find(folder, prefix, "images", axes=3), _find(folder, prefix, "labels", axes=1)
    assert images_path is not None
    if labels_path is None:
        raise DataError(f"{folder}: has {images_path.name} but no {prefix}-labels-idx1-ubyte(.gz) beside it; add it")
    images, labels = read_idx(images_path, axes=3), read_idx(labels_path, axes=1)
    if len(images) != len(labels):
        raise DataError(
            f"{folder}: {images_path.name} has {counted(len(images), 'image')}, {labels_path.name} "
            f"{counted(len(labels), 'label')}"
        )
    return images, [str(label) for label in labels]


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({reason_of(error)}); fetch it again") from error
