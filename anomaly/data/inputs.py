"""The inputs of `anomaly score`: every image gets a place, and its pixels or a reason (laws 7 and 8)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from anomaly.config import PreprocessConfig
from anomaly.data.ahead import map_ahead
from anomaly.data.decode import DEFAULT_LIMITS, Limits, Pixels, decode
from anomaly.data.files import find_images
from anomaly.data.preprocess import preprocess
from anomaly.errors import ImageError

_CHUNK = 16  # images a task: handing over a task costs as much as decoding a small image


@dataclass(frozen=True, slots=True)
class Decoded:
    """One input: uint8 pixels of shape (channels, size, size) and the original's size, or None and why."""

    path: str
    pixels: Pixels | None
    height: int
    width: int
    error: str | None


def expand_inputs(inputs: Sequence[str]) -> tuple[list[str], int]:
    """The paths to score, in the order of the inputs, and the number of other files that were skipped inside folders.

    What is named stays, whatever it is. A folder stands for the images in it (see `find_images`); a folder without any
    keeps a place of its own, where decoding will say what it is.
    """
    paths: list[str] = []
    num_skipped = 0
    for named in inputs:
        images, num_others = find_images(Path(named)) if Path(named).is_dir() else ([], 0)
        paths += [str(image) for image in images] or [named]
        num_skipped += num_others
    return paths, num_skipped


def decode_all(
    paths: Sequence[str], config: PreprocessConfig, *, limits: Limits = DEFAULT_LIMITS, workers: int | None = None
) -> Iterator[Decoded]:
    """Each path decoded and preprocessed, in order and ahead of use; a bad file is a result with an error."""
    chunks = (paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK))
    for results in map_ahead(partial(_decode_chunk, config=config, limits=limits), chunks, workers=workers):
        yield from results


def _decode_chunk(paths: Sequence[str], config: PreprocessConfig, limits: Limits) -> list[Decoded]:
    return [_decode_one(path, config, limits) for path in paths]


def _decode_one(path: str, config: PreprocessConfig, limits: Limits) -> Decoded:
    try:
        image = decode(Path(path), name=path, limits=limits)
    except ImageError as error:
        return Decoded(path, None, 0, 0, str(error))
    return Decoded(path, preprocess(image, config), image.height, image.width, None)
