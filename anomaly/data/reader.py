"""The one reader of images: whatever an image comes as, it becomes the same pixels (law 3).

Training, the command line, the detector and the service read by these two functions.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from anomaly.config import PreprocessConfig
from anomaly.data.ahead import map_ahead
from anomaly.data.decoding.appearance import Remark
from anomaly.data.decoding.decode import Pixels, look, look_at_image
from anomaly.data.decoding.limits import DEFAULT_LIMITS, Limits
from anomaly.data.preprocess import preprocess
from anomaly.errors import ImageError

_CHUNK = 16  # images a task: handing over a task costs as much as decoding a small image

Source: TypeAlias = Path | bytes | Image.Image | Pixels
"""A file, the bytes of one, a PIL image, or a uint8 array (h, w), (h, w, 1), (h, w, 3) in RGB order, or (h, w, 4)."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image ready for the networks: uint8 (channels, size, size), and the original's height and width in pixels.

    `remarks` are what is to be said of its file.
    """

    pixels: Pixels
    height: int
    width: int
    remarks: frozenset[Remark] = frozenset()


def read(source: Source, config: PreprocessConfig, *, name: str, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decode and preprocess one image. `name` is what error messages call it.

    `limits` hold for files and bytes; a PIL image or an array is in memory already.

    Raises:
        ImageError: the image cannot be used (see `decode` and `to_image`).
    """
    if isinstance(source, Path | bytes):
        seen = look(source, name=name, limits=limits, value_range=config.range)
    else:
        seen = look_at_image(source, name=name, value_range=config.range)
    return Picture(preprocess(seen.image, config), seen.image.height, seen.image.width, seen.remarks)


def told(remarks: Counter[Remark]) -> list[str]:
    """A sentence for each remark, with the number of images that it is true of."""
    return [f"{remarks[remark]:,} of the images: {remark}" for remark in Remark if remarks[remark]]


def read_all(
    sources: Iterable[tuple[str, Source]],
    config: PreprocessConfig,
    *,
    limits: Limits = DEFAULT_LIMITS,
    workers: int | None = None,
) -> Iterator[Picture | ImageError]:
    """Images with their names, in order and ahead of use; one that cannot be used is an error among the others.

    `workers` is the number of threads (see `map_ahead`), each of which is at most 4 · 16 images ahead. Where larger
    pictures than usual are allowed they are decoded one after another, so that one at a time takes memory.
    """
    read_chunk = partial(_read_chunk, config=config, limits=limits)
    for results in map_ahead(read_chunk, _chunks(sources), workers=limits.workers or workers):
        yield from results


def _chunks(sources: Iterable[tuple[str, Source]]) -> Iterator[list[tuple[str, Source]]]:
    remaining = iter(sources)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


def _read_chunk(
    sources: list[tuple[str, Source]], config: PreprocessConfig, limits: Limits
) -> list[Picture | ImageError]:
    return [_read_or_error(name, source, config, limits) for name, source in sources]


def _read_or_error(name: str, source: Source, config: PreprocessConfig, limits: Limits) -> Picture | ImageError:
    try:
        return read(source, config, name=name, limits=limits)
    except ImageError as error:
        return type(error)(str(error))  # without its traceback, which keeps the whole file in memory
