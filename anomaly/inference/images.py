"""What `Detector.score` is given, as chunks of preprocessed pixels: files, PIL images, arrays, a batch tensor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from anomaly.config import PreprocessConfig
from anomaly.data import Picture, Pixels, Source, preprocess_batch, read, read_all
from anomaly.errors import ImageError, UsageError

CHUNK = 256  # images read, then scored: their pixels are still in the processor's cache

Image = str | Path | PIL.Image.Image | Pixels
Images = Image | Sequence[Image] | Tensor


@dataclass(frozen=True)
class ReadImages:
    """Preprocessed pixels (n, c, size, size), the images' heights and widths, and why they could not be read.

    An image that could not be read is black here, and has the size of one pixel.
    """

    pixels: Pixels
    sizes: list[tuple[int, int]]
    errors: list[str | None]

    @classmethod
    def join(cls, parts: Sequence["ReadImages"]) -> "ReadImages":
        """All chunks, at least one, in order."""
        return cls(
            np.concatenate([part.pixels for part in parts]),
            [size for part in parts for size in part.sizes],
            [error for part in parts for error in part.errors],
        )


def read_images(images: Images, config: PreprocessConfig) -> Iterator[ReadImages]:
    """Chunks in order, at least one; the next are decoded in threads while one is scored.

    Raises:
        UsageError: a batch tensor has another shape or type.
    """
    if isinstance(images, Tensor):
        _check_tensor(images)
        batch = images.detach().cpu()
        if not batch.is_floating_point():
            yield from _read_array(_without_single_channel(batch.permute(0, 2, 3, 1).numpy()), config)
            return
        results = _read_floats(batch, config)
    else:
        several = [images] if isinstance(images, str | Path | PIL.Image.Image | np.ndarray) else images
        results = read_all((_named(index, image) for index, image in enumerate(several)), config)
    yield _collect(list(islice(results, CHUNK)), config)
    while chunk := list(islice(results, CHUNK)):
        yield _collect(chunk, config)


def _named(index: int, image: Image) -> tuple[str, Source]:
    """What error messages call an image: its path, or its place among those given."""
    return (str(image), Path(image)) if isinstance(image, str | Path) else (f"image {index}", image)


def _read_floats(batch: Tensor, config: PreprocessConfig) -> Iterator[Picture | ImageError]:
    """Images (c, h, w) in [-1, 1], rounded to 8 bits."""
    for index, image in enumerate(batch):
        name = f"image {index}"
        if bool(((image >= -1) & (image <= 1)).all()):
            pixels = ((image + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
            yield read(_without_single_channel(pixels), config, name=name)
        else:
            yield ImageError(f"{name}: floats of a batch tensor lie in [-1, 1]; these go beyond, or are not finite")


def _read_array(images: Pixels, config: PreprocessConfig) -> Iterator[ReadImages]:
    """Images of one size (n, h, w) or (n, h, w, 3)."""
    for start in range(0, max(len(images), 1), CHUNK):
        chunk = images[start : start + CHUNK]
        n, height, width = chunk.shape[:3]
        pixels = preprocess_batch(chunk, config) if n else _blank(0, config)
        yield ReadImages(pixels, [(height, width)] * n, [None] * n)


def _collect(results: Sequence[Picture | ImageError], config: PreprocessConfig) -> ReadImages:
    pixels = _blank(len(results), config)
    for place, result in zip(pixels, results, strict=True):
        if isinstance(result, Picture):
            place[:] = result.pixels
    return ReadImages(
        pixels,
        [(r.height, r.width) if isinstance(r, Picture) else (1, 1) for r in results],
        [None if isinstance(r, Picture) else str(r) for r in results],
    )


def _blank(n: int, config: PreprocessConfig) -> Pixels:
    return np.zeros((n, config.channels, config.size, config.size), np.uint8)


def _check_tensor(batch: Tensor) -> None:
    if batch.ndim != 4 or batch.shape[1] not in (1, 3) or 0 in batch.shape[2:]:
        shape = tuple(batch.shape)
        raise UsageError(f"a batch tensor has the shape (n, c, h, w) with 1 or 3 channels; this one has {shape}")
    if not batch.is_floating_point() and batch.dtype != torch.uint8:
        raise UsageError(f"a batch tensor is of uint8, or of floats in [-1, 1]; this one is of {batch.dtype}")


def _without_single_channel(array: Pixels) -> Pixels:
    """(…, h, w, 1) → (…, h, w); colour stays."""
    return array[..., 0] if array.shape[-1] == 1 else array
