"""The evidence of places, run by torch or ONNX Runtime: pictures of any shape, large ones in strips.

Each picture is computed by itself, so that no result depends on a batch. A large picture is computed in strips of rows
that overlap by what a place sees beyond itself: its maps are those of one pass, and the memory is that of a strip. A
very wide one is cut into columns, too: where a place lies in the picture is then said by the pose.
Where maps are restored no picture is large, and sides are multiples of 64 or 128.
Shapes: pixels (c, h, w) uint8 each, h and w multiples of 16; maps (1 + k, h/8, w/8), of k kinds of evidence.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.config.places import HALF_RESTORED_STRIDE, MARGIN, PLACE, STRIDE
from anomaly.data import Pixels, PixelsOfImages
from anomaly.data.pose import AS_IT_LIES, pose_of
from anomaly.data.regions.counted_places import counted_places
from anomaly.inference.engine import EngineName, Explained, Latents, Terms
from anomaly.inference.threads import EngineThreads

WINDOW, POSE, MAPS = "window", "pose", "maps"
"""The inputs after x, and the output, of a graph of places. One that was made before there were poses takes none."""

SMALL = 2**20  # pixels: smaller pictures are shared out to threads, larger ones have all threads

WARM_SIDES = (-(-2 * MARGIN // HALF_RESTORED_STRIDE) * HALF_RESTORED_STRIDE, HALF_RESTORED_STRIDE)  # fit all recipes

_NUDGE = 2**-23  # of the picture's width

Run = Callable[[Pixels, NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""Pixels (c, h, w), the window (2,) and the pose (2, 3) → maps (1 + k, h/8, w/8)."""


@dataclass(frozen=True)
class Strips:
    """How large pictures are cut: into strips of `pixels` at most, and of `columns` at most, with their margins.

    A strip gives `rows` rows all the same, a multiple of STRIDE: of a very wide picture all but a few would be margin
    else. So it is computed three times over, and no more. With more pixels than these, about 2 GB, the memory grows;
    with fewer most is margin.
    """

    pixels: int = 6 * 2**20
    rows: int = MARGIN
    columns: int = 2**14

    def of_rows(self, height: int, width: int) -> Iterator[tuple[int, int, int, int]]:
        """For each strip the rows that it gives, first to last, and those that it is computed from, top to bottom."""
        width = min(width, self.columns)
        is_cut = height * width > self.pixels
        each = max((self.pixels // width - 2 * MARGIN) // STRIDE * STRIDE, self.rows) if is_cut else height
        yield from _overlapping(height, each)

    def of_columns(self, width: int) -> Iterator[tuple[int, int, int, int]]:
        """For each strip the columns that it gives, first to last, and those that it needs for them, left to right."""
        yield from _overlapping(width, self.columns - 2 * MARGIN if width > self.columns else width)


class PlaceEngine:
    """An `Engine` for networks of places; there is no z_hat and no x_hat."""

    def __init__(
        self,
        name: EngineName,
        evidence: Sequence[str],
        run_small: Run,
        run_large: Run,
        threads: int,
        strips: Strips = Strips(),
        warm_shape: tuple[int, int, int] = (3, *WARM_SIDES),
        reference: NDArray[np.float32] | None = None,
        *,
        has_region: bool = False,
    ) -> None:
        """`run_small` computes in the thread that calls it; `run_large` may use all of them.

        `evidence` has the names of the maps (see `evidence_names`). With a `reference` each picture's pose is measured
        by it. With `has_region` places outside of it do not count.
        """
        self.name = name
        self._evidence = evidence
        self._run_small, self._run_large = run_small, run_large
        self._threads = EngineThreads(threads, "places")
        self._strips = strips
        self._warm_shape = warm_shape
        self._reference = reference
        self._has_region = has_region

    @property
    def grain(self) -> int:
        """See `Engine`: each thread has an image."""
        return self._threads.num

    def observe(self, pixels: PixelsOfImages) -> tuple[Terms, Latents]:
        """See `Engine`: each term is the strongest place of its map; z_hat (n, 0)."""
        peaks = [_peaks(maps, counted) for maps, counted in self._all(pixels)]
        return self._terms(peaks), _no_latents(pixels)

    def explain(self, pixels: PixelsOfImages, z_hat: Latents) -> Explained:
        """See `Engine`: no x_hat, and the map of the sum (1, h/8, w/8) of each image."""
        return None, [_sum_map(maps, counted) for maps, counted in self._all(pixels)]

    def examine(self, pixels: PixelsOfImages) -> tuple[Terms, Latents, Explained]:
        """See `Engine`: the terms and the map of the sum are of one pass."""
        found = [(_peaks(maps, counted), _sum_map(maps, counted)) for maps, counted in self._all(pixels)]
        terms = self._terms([peaks for peaks, _ in found])
        return terms, _no_latents(pixels), (None, [sum_map for _, sum_map in found])

    def warm(self, max_images: int) -> None:
        """Run once: the first run makes the plans."""
        self._maps(np.zeros(self._warm_shape, np.uint8))

    def _all(self, pixels: PixelsOfImages) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Each image's maps, and which of its places count."""
        is_shared = self._threads.num > 1 and len(pixels) > 1 and max(image[0].size for image in pixels) <= SMALL
        found = self._threads.map(self._maps, pixels) if is_shared else map(self._maps, pixels)
        return zip(found, map(self._counted, pixels), strict=True)

    def _terms(self, peaks: Sequence[NDArray[np.float32]]) -> Terms:
        return dict(zip(self._evidence, np.array(peaks, np.float64).T, strict=True))

    def _maps(self, image: Pixels) -> NDArray[np.float32]:
        _, height, width = image.shape
        run = self._run_small if height * width <= SMALL else self._run_large
        pose = AS_IT_LIES if self._reference is None else pose_of(self._reference, image).matrix
        nudge = _NUDGE if self._reference is None else 0.0  # a memory of aligned pictures has no cells
        columns = list(self._strips.of_columns(width))
        strips = [
            [
                run(
                    image[:, top:bottom, left:right],
                    np.array([top, height], np.float32),
                    pose if len(columns) == 1 else pose_of_columns(pose, left, right, width, nudge),
                )[:, (first - top) // PLACE : (last - top) // PLACE, (start - left) // PLACE : (end - left) // PLACE]
                for start, end, left, right in columns
            ]
            for first, last, top, bottom in self._strips.of_rows(height, width)
        ]
        return strips[0][0] if len(strips) == len(columns) == 1 else np.block(strips)

    def _counted(self, image: Pixels) -> NDArray[np.bool_]:
        """Which places of an image are evidence, to be broadcast over its maps."""
        return counted_places(image) if self._has_region else np.ones((1, 1), np.bool_)


def _peaks(maps: NDArray[np.float32], counted: NDArray[np.bool_]) -> NDArray[np.float32]:
    peaks: NDArray[np.float32] = maps.max(axis=(1, 2), where=counted, initial=-np.inf)
    return peaks


def _sum_map(maps: NDArray[np.float32], counted: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(counted, maps[:1], np.float32(0))


def _no_latents(pixels: PixelsOfImages) -> Latents:
    return np.empty((len(pixels), 0), np.float32)


def _overlapping(side: int, each: int) -> Iterator[tuple[int, int, int, int]]:
    """A side in pieces: what each gives, first to last, and what it is computed from."""
    for first in range(0, side, each):
        last = min(first + each, side)
        yield first, last, max(first - MARGIN, 0), min(last + MARGIN, side)


def pose_of_columns(
    pose: NDArray[np.float32], left: int, right: int, width: int, nudge: float = _NUDGE
) -> NDArray[np.float32]:
    """The pose of a picture's columns from left to right, as if they were a picture.

    They are moved by `nudge`: a place on the edge between two cells of a memory must not be rounded to the one before.
    """
    moved = pose.astype(np.float64)
    moved[:, 2] += moved[:, 1] * (left / width + nudge)
    moved[:, 1] *= (right - left) / width
    return moved.astype(np.float32)
