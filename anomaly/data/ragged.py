"""Preprocessed images of any number and of several shapes: as one array where they have one shape, else one by one.

Shapes: an image is uint8 (c, h, w).
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from anomaly.config import PreprocessConfig, Resize
from anomaly.data.decoding.decode import Pixels

PixelsOfImages: TypeAlias = "Pixels | Sequence[Pixels]"
"""An array (n, c, h, w), or images (c, h, w) each."""

CHUNK, WHOLE_CHUNK = 256, 8  # images held at once: whole pictures may be large


class RaggedPixels(Sequence[Pixels]):
    """Images one after another in one array of bytes, which may be a memory map."""

    def __init__(self, data: Pixels, shapes: Sequence[tuple[int, int, int]]) -> None:
        self._data = data
        self._shapes = list(shapes)
        self._starts = np.concatenate([[0], np.cumsum([np.prod(shape) for shape in shapes], dtype=np.int64)])

    def __len__(self) -> int:
        return len(self._shapes)

    @overload
    def __getitem__(self, index: int) -> Pixels: ...
    @overload
    def __getitem__(self, index: slice) -> "list[Pixels]": ...
    def __getitem__(self, index: int | slice) -> "Pixels | list[Pixels]":
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        return self._data[self._starts[row] : self._starts[row + 1]].reshape(self._shapes[row])

    def __iter__(self) -> Iterator[Pixels]:
        return (self[row] for row in range(len(self)))


def take(pixels: PixelsOfImages, rows: "Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]") -> PixelsOfImages:
    """Some of the images, by their numbers or by a mask."""
    if isinstance(pixels, np.ndarray):
        return pixels[rows]
    numbers = np.flatnonzero(rows) if np.asarray(rows).dtype == np.bool_ else rows
    return [pixels[int(row)] for row in numbers]


def together(images: Sequence[Pixels], config: PreprocessConfig) -> PixelsOfImages:
    """At least one image, as an array where all have the shape that the preprocessing says."""
    return list(images) if config.resize is Resize.WHOLE else np.stack(images)


def chunk_size(config: PreprocessConfig) -> int:
    """How many images to hold at once."""
    return WHOLE_CHUNK if config.resize is Resize.WHOLE else CHUNK


def chunks(num: int, config: PreprocessConfig) -> list[slice]:
    """So many images in pieces of `chunk_size`, in order."""
    size = chunk_size(config)
    return [slice(start, start + size) for start in range(0, num, size)]


def blank(num: int, config: PreprocessConfig) -> PixelsOfImages:
    """Black images."""
    if config.resize is Resize.WHOLE:
        return [np.zeros((config.channels, 32, 32), np.uint8) for _ in range(num)]
    return np.zeros((num, config.channels, config.size, config.size), np.uint8)
