"""The one reader of images: whatever an image comes as, it becomes the same pixels (law 3).

Training, the command line, the detector, the service and exported folders read by these two functions.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import prod
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from anomaly.config.choices import Resize
from anomaly.counted import size_text
from anomaly.data.ahead import map_ahead
from anomaly.data.decoding.appearance import Remark, Seen
from anomaly.data.decoding.decode import Pixels, look, look_at_image
from anomaly.data.decoding.limits import DEFAULT_LIMITS, Limits
from anomaly.data.files.left_out import Why, left_out_sentences
from anomaly.data.files.listing import list_images
from anomaly.data.preprocess import LEAST_SIDE, Preprocessing, preprocess_batch, preprocess_seen, preprocessed_size
from anomaly.errors import ImageError, ImageTooLargeError

_CHUNK = 16  # images in each task at most: handing over a task costs as much as decoding a small image
_TASK_S = 0.02  # that a task should take: large pictures go one by one, so that a few of them keep all threads busy
_SMALL = 2**14  # pixels: up to here pictures of one size are preprocessed together, larger ones at once and let go

Source: TypeAlias = Path | bytes | Image.Image | Pixels
"""A file, the bytes of one, a PIL image, or a uint8 array (h, w), (h, w, 1), (h, w, 3) in RGB order, or (h, w, 4)."""

Named: TypeAlias = tuple[str, Source | ImageError]
"""An image and what it is called; an error where it is known already why it cannot be used."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image ready for the networks: uint8 (channels, size, size), and the original's height and width in pixels.

    `name` is what it is called; `remarks` are what is to be said of its file.
    """

    pixels: Pixels
    height: int
    width: int
    name: str
    remarks: frozenset[Remark] = frozenset()

    @property
    def unseen(self) -> str | None:
        """What its file holds and nobody looked at, such as further pages; None mostly."""
        return "; ".join(sorted(remark for remark in self.remarks if remark.leaves_unseen)) or None


def read(source: Source, config: Preprocessing, *, name: str, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decode and preprocess one image. `name` is what error messages call it.

    `limits` hold for files and bytes; a PIL image or an array is in memory already.

    Raises:
        ImageError: the image cannot be used (see `decode` and `to_image`).
    """
    seen = _look(source, config, name, limits)
    return _to_picture(name, seen, preprocess_seen(seen.image, config))


def read_all(
    sources: Iterable[Named],
    config: Preprocessing,
    *,
    limits: Limits = DEFAULT_LIMITS,
    workers: int | None = None,
) -> Iterator[Picture | ImageError]:
    """Images with their names, in order and ahead of use; one that cannot be used is an error among the others.

    So is one of which the caller knows already why it cannot be used, and gives the error in its place.

    `workers` is the number of threads (see `map_ahead`), each of which is at most 4 · 16 images ahead. Where larger
    pictures than usual are allowed they are decoded one after another, so that one at a time takes memory.
    """
    pace = _Pace()
    read_chunk = partial(pace.timed, partial(_read_chunk, config=config, limits=limits))
    for results in map_ahead(read_chunk, pace.chunks(sources), workers=limits.workers or workers):
        yield from results


class _Pace:
    """How many images go into the next task, by how long the last ones took. What is read does not depend on it."""

    def __init__(self) -> None:
        self._image_s = _TASK_S

    def chunks(self, sources: Iterable[Named]) -> Iterator[list[Named]]:
        """All sources, in order."""
        remaining = iter(sources)
        while chunk := list(islice(remaining, max(1, min(_CHUNK, int(_TASK_S / self._image_s))))):
            yield chunk

    def timed(
        self,
        read_chunk: Callable[[list[Named]], list[Picture | ImageError]],
        chunk: list[Named],
    ) -> list[Picture | ImageError]:
        """`read_chunk(chunk)`; for threads."""
        started = time.perf_counter()
        results = read_chunk(chunk)
        self._image_s = max((time.perf_counter() - started) / len(chunk), 1e-6)
        return results


def _read_chunk(sources: list[Named], config: Preprocessing, limits: Limits) -> list[Picture | ImageError]:
    results: dict[int, Picture | ImageError] = {}
    waiting: defaultdict[tuple[object, ...], dict[int, tuple[str, Seen]]] = defaultdict(dict)
    for place, (name, source) in enumerate(sources):
        try:
            if isinstance(source, ImageError):
                raise source
            seen = _look(source, config, name, limits)
        except ImageError as error:
            results[place] = type(error)(str(error))  # without its traceback, which keeps the whole file in memory
            continue
        if seen.image.width * seen.image.height <= _SMALL:
            waiting[seen.image.size, seen.image.mode][place] = name, seen
        else:
            results[place] = _to_picture(name, seen, preprocess_seen(seen.image, config))
    for group in waiting.values():
        pixels = preprocess_batch(np.stack([np.asarray(seen.image) for _, seen in group.values()]), config)
        results |= {place: _to_picture(*each, own) for (place, each), own in zip(group.items(), pixels, strict=True)}
    return [results[place] for place in range(len(sources))]


def _look(source: Source, config: Preprocessing, name: str, limits: Limits) -> Seen:
    if isinstance(source, Path | bytes):
        try:
            seen = look(source, name=name, limits=limits, value_range=config.range)
        except ImageError as error:
            if isinstance(source, Path) and source.is_dir():
                _refuse_folder(source, name, error)
            raise
    else:
        seen = look_at_image(source, name=name, value_range=config.range)
    check_filled(seen.image.height, seen.image.width, config, name, limits)
    return seen


def check_filled(height: int, width: int, config: Preprocessing, name: str, limits: Limits) -> None:
    """Raises ImageTooLargeError for a picture so narrow that filling it up makes far more pixels of it than it has."""
    if config.resize is not Resize.WHOLE:
        return
    num = prod(preprocessed_size(height, width, config))
    if num > max(limits.max_pixels, 2 * height * width):
        raise ImageTooLargeError(
            f"{name}: has {size_text(height, width)} pixels; this model fills a picture up to "
            f"{LEAST_SIDE} pixels a side, which makes {num:,} of them, and at most {limits.max_pixels:,} are accepted: "
            "cut it into shorter pieces"
        )


def _refuse_folder(folder: Path, name: str, error: ImageError) -> None:
    """Raises ImageError where no image is found in a folder; some are where it is called as an image is."""
    images, left_out = list_images(folder)
    if unreadable := left_out_sentences(file for file in left_out if file.why is Why.UNREADABLE):
        raise ImageError(f"{name}: is a folder; {unreadable[0]}; allow reading it") from error
    if not images:
        raise ImageError(f"{name}: is a folder that holds no images; give one that holds some") from error


def _to_picture(name: str, seen: Seen, pixels: Pixels) -> Picture:
    return Picture(pixels, seen.image.height, seen.image.width, name, seen.remarks)
