"""Preprocessed pixels in a memory-mapped file: data sets larger than memory, each image decoded exactly once."""

import errno
import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from anomaly.config import PreprocessConfig, Resize
from anomaly.counted import Size
from anomaly.data.datasets.samples import Sample
from anomaly.data.decoding.limits import DEFAULT_LIMITS, Limits
from anomaly.data.ragged import PixelsOfImages, RaggedPixels
from anomaly.data.reader import read_all
from anomaly.data.remarks import Remarks
from anomaly.errors import DataError, ImageError
from anomaly.files import storing


@dataclass(frozen=True)
class PixelStore:
    """Images ready for use, in the order of their samples, and those that had to be left out.

    `pixels` is a read-only uint8 map of shape (n, channels, size, size), or where pictures keep their shapes a sequence
    of images (channels, h, w); `samples` are those of its images, and `errors` holds the path and the reason of each
    sample that is not among them. `remarks` are sentences on how files were read.
    `sizes` are the heights and widths of its images in pixels, as they are on disk.
    """

    pixels: PixelsOfImages
    samples: tuple[Sample, ...]
    errors: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...] = ()
    sizes: tuple[Size, ...] = ()

    @classmethod
    def build(
        cls,
        samples: Sequence[Sample],
        config: PreprocessConfig,
        path: Path,
        *,
        limits: Limits = DEFAULT_LIMITS,
        on_image: Callable[[], None] = lambda: None,
        instead: str = "set the environment variable TMPDIR to a folder on a larger disk",
        what: str = "image",
    ) -> "PixelStore":
        """Decodes all samples in threads and writes them to `path`; `on_image` is called after each, broken or not.

        Room for all of them is taken before the first is decoded. `instead` is what to do where there is too little.
        `what` is what messages call one of them.

        Raises:
            DataError: not one of the images can be used.
            StorageError: the file cannot be written.
        """
        is_whole = config.resize is Resize.WHOLE
        num_bytes = 0 if is_whole else len(samples) * config.channels * config.size * config.size
        shapes: list[tuple[int, int, int]] = []
        sizes: list[Size] = []
        usable: list[Sample] = []
        errors: list[tuple[str, str]] = []
        remarks = Remarks()
        with (
            storing("the preprocessed pixels", path.parent, num_bytes=num_bytes, instead=instead),
            path.open("wb") as file,
        ):
            _reserve(file, num_bytes)
            results = read_all(((sample.path, sample.source) for sample in samples), config, limits=limits)
            for sample, result in zip(samples, results, strict=True):
                if isinstance(result, ImageError):
                    errors.append((sample.path, str(result)))
                else:
                    usable.append(sample)
                    remarks.add(sample.path, result.remarks)
                    file.write(result.pixels.data)
                    shapes.append(result.pixels.shape)
                    sizes.append((result.height, result.width))
                on_image()
            file.truncate()
        if not usable:
            first = f"; the first: {errors[0][1]}" if errors else ""
            which = f"the only {what} cannot" if len(errors) == 1 else f"none of the {len(errors)} {what}s can"
            raise DataError(f"{which} be used{first}")
        data = np.memmap(path, np.uint8, mode="r")
        pixels = RaggedPixels(data, shapes) if is_whole else data.reshape(len(shapes), *shapes[0])
        return cls(pixels, tuple(usable), tuple(errors), tuple(remarks.sentences()), tuple(sizes))

    @property
    def paths(self) -> tuple[str, ...]:
        """The names of its images."""
        return tuple(sample.path for sample in self.samples)

    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the shape (as text) and then the pixels; of several shapes each its own."""
        shape = "" if isinstance(self.pixels, RaggedPixels) else str(np.shape(self.pixels))
        digest = hashlib.sha256(shape.encode())
        for image in self.pixels:
            digest.update(b"" if shape else str(image.shape).encode())
            digest.update(image.data)
        return digest.hexdigest()


def _reserve(file: BinaryIO, num_bytes: int) -> None:
    """Take room on the disk, where the system can: an OSError now instead of after an hour of decoding."""
    if sys.platform == "linux" and num_bytes:
        try:
            os.posix_fallocate(file.fileno(), 0, num_bytes)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
