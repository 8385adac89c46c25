"""Preprocessed pixels in a memory-mapped file: data sets larger than memory, each image decoded exactly once."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from anomaly.config import PreprocessConfig
from anomaly.data.ahead import map_ahead
from anomaly.data.decode import Pixels
from anomaly.data.preprocess import preprocess
from anomaly.data.samples import Sample
from anomaly.errors import DataError, ImageError

_CHUNK = 16  # images a task: handing over a task costs as much as decoding a small image

PixelsOrReason = Pixels | str


@dataclass(frozen=True)
class PixelStore:
    """Images ready for use, in the order of their samples, and those that had to be left out.

    `pixels` is a read-only uint8 map of shape (n, channels, size, size), `paths` names its images, and `errors` holds
    the path and the reason of each sample that is not among them.
    """

    pixels: Pixels
    paths: tuple[str, ...]
    errors: tuple[tuple[str, str], ...]

    @classmethod
    def build(
        cls,
        samples: Sequence[Sample],
        config: PreprocessConfig,
        path: Path,
        *,
        on_image: Callable[[], None] = lambda: None,
    ) -> "PixelStore":
        """Decodes all samples in threads and writes them to `path`; `on_image` is called after each, broken or not.

        Raises:
            DataError: not one of the images can be used.
            OSError: the file cannot be written.
        """
        paths: list[str] = []
        errors: list[tuple[str, str]] = []
        with path.open("wb") as file:
            for sample, result in zip(samples, _preprocess_all(samples, config), strict=True):
                if isinstance(result, str):
                    errors.append((sample.path, result))
                else:
                    paths.append(sample.path)
                    file.write(result.data)
                on_image()
        if not paths:
            first = f"; the first: {errors[0][1]}" if errors else ""
            raise DataError(f"none of the {len(errors)} images can be used{first}")
        shape = (len(paths), config.channels, config.size, config.size)
        return cls(np.memmap(path, np.uint8, mode="r", shape=shape), tuple(paths), tuple(errors))

    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the shape (as text) and then the pixels."""
        digest = hashlib.sha256(str(self.pixels.shape).encode())
        for image in self.pixels:
            digest.update(image.data)
        return digest.hexdigest()


def _preprocess_all(samples: Sequence[Sample], config: PreprocessConfig) -> Iterator[PixelsOrReason]:
    chunks = (samples[start : start + _CHUNK] for start in range(0, len(samples), _CHUNK))
    for results in map_ahead(partial(_preprocess_chunk, config=config), chunks):
        yield from results


def _preprocess_chunk(samples: Sequence[Sample], config: PreprocessConfig) -> list[PixelsOrReason]:
    return [_preprocess_one(sample, config) for sample in samples]


def _preprocess_one(sample: Sample, config: PreprocessConfig) -> PixelsOrReason:
    try:
        return preprocess(sample.open(), config)
    except ImageError as error:
        return str(error)
