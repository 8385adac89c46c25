"""The one preprocessing: any image to 8-bit pixels (channels, height, width), and a map of them back again.

Height and width are `size`, but with `Resize.WHOLE` they follow from the image.

Everything that trains, scores, serves or measures calls `preprocess` with the configuration of the bundle (law 3), so
an image has one set of pixels however it came. Where there is a region, the pixels outside of it are made mid-grey
before all else, so that they reach nothing, not even as neighbours of what is scaled. `anomaly export` copies this file
and what it imports into a folder that must do without pydantic, hence the protocol.
"""

from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.config.choices import Resize
from anomaly.config.places import STRIDE
from anomaly.config.region import OUTSIDE, inside_of
from anomaly.data.decoding.decode import Pixels, to_image

LEAST_SIDE = 32  # pixels, where shapes are kept
_ROWS = 256  # of a map that are taken over at a time
_BILINEAR = Image.Resampling.BILINEAR  # PIL widens its kernel when it reduces, so this is antialiased


class Preprocessing(Protocol):
    """What decides the pixels of an image: a recipe's section `preprocess`, or what an exported folder has of it."""

    @property
    def size(self) -> int:
        """The side of the square, in pixels."""

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (colour)."""

    @property
    def resize(self) -> Resize:
        """How an image of another shape becomes a square."""

    @property
    def scale(self) -> float | str:
        """What a picture that keeps its shape is shrunk by; no other resize uses it."""

    @property
    def range(self) -> int:
        """The number of bits that pictures of 16 bits use."""

    @property
    def region(self) -> str | None:
        """The part of each picture that is evidence (see `config.region`); None for all of it."""


class _Geometry(NamedTuple):
    """The part `seen` of the original (left, top, right, bottom), and the `place` it takes in height × width pixels."""

    seen: tuple[int, int, int, int]
    place: tuple[int, int, int, int]
    height: int
    width: int


def preprocess(image: Image.Image | Pixels, config: Preprocessing) -> Pixels:
    """An image as uint8 of shape (channels, height, width), C-contiguous.

    Colour becomes grey by ITU-R BT.601 luma, grey becomes colour by repetition. An image that already has the right
    size and channels passes bit-identical.

    Raises:
        ImageError: see `to_image`.
    """
    return preprocess_seen(to_image(image, value_range=config.range), config)


def preprocess_seen(picture: Image.Image, config: Preprocessing) -> Pixels:
    """What `preprocess` makes of a picture that is in mode "L" or "RGB" already, without metadata."""
    if config.channels == 1 and picture.mode == "RGB":
        picture = picture.convert("L")
    if config.region is not None:
        picture = _with_grey_outside(picture, config.region)
    geometry = _geometry_of(picture.height, picture.width, config)
    scaled = np.asarray(_scale_columns(_scale_rows(picture, geometry), geometry))
    pixels: Pixels = _to_channels_first(_repeat_edges(scaled[np.newaxis], geometry), config.channels)[0]
    return pixels


def preprocess_batch(images: Pixels, config: Preprocessing) -> Pixels:
    """At least one image of one size, (n, h, w) or (n, h, w, 3) in RGB order, as uint8 (n, channels, height, width).

    Gives each the pixels that `preprocess` gives it, with two calls of PIL for them all: below each other their rows
    are scaled, then beside each other their columns.
    """
    n, height, width, *bands = images.shape
    if config.region is not None:
        inside = inside_of(config.region, height, width).reshape(height, width, *(1 for _ in bands))
        images = np.where(inside, images, np.uint8(OUTSIDE))
    picture = Image.fromarray(images.reshape(n * height, width, *bands))
    if config.channels == 1 and bands:
        picture, bands = picture.convert("L"), []
    geometry = _geometry_of(height, width, config)
    below = np.asarray(_scale_rows(picture, geometry))
    beside = below.reshape(n, height, -1, *bands).swapaxes(0, 1).reshape(height, -1, *bands)
    scaled = np.asarray(_scale_columns(Image.fromarray(beside), geometry))
    scaled = scaled.reshape(len(scaled), n, -1, *bands).swapaxes(0, 1)
    return _to_channels_first(_repeat_edges(scaled, geometry), config.channels)


def preprocessed_size(height: int, width: int, config: Preprocessing) -> tuple[int, int]:
    """The height and width that a picture of this size has after `preprocess`."""
    geometry = _geometry_of(height, width, config)
    return geometry.height, geometry.width


def restore_map(heatmap: NDArray[np.float32], config: Preprocessing, height: int, width: int) -> NDArray[np.float32]:
    """A float32 map of the preprocessed image, of its shape or coarser, laid over the original: (height, width).

    What padding added is dropped; what cropping left unseen is 0, and so is what lies outside of the region.
    """
    geometry = _geometry_of(height, width, config)
    left, top, right, bottom = geometry.seen
    rows, columns = heatmap.shape[0] / geometry.height, heatmap.shape[1] / geometry.width
    from_left, from_top, to_right, to_bottom = geometry.place
    box = (from_left * columns, from_top * rows, to_right * columns, to_bottom * rows)
    seen = Image.fromarray(heatmap).resize((right - left, bottom - top), _BILINEAR, box=box)
    restored = np.zeros((height, width), np.float32)
    for row in range(0, seen.height, _ROWS):  # as one array it would be twice in memory
        rows = seen.crop((0, row, seen.width, min(row + _ROWS, seen.height)))
        restored[top + row : top + row + rows.height, left:right] = np.asarray(rows)
    if config.region is not None:
        restored *= inside_of(config.region, height, width)
    return restored


def _with_grey_outside(picture: Image.Image, region: str) -> Image.Image:
    """Another picture, because this one may be the caller's own."""
    outside = Image.fromarray(~inside_of(region, picture.height, picture.width))
    greyed = picture.copy()
    greyed.paste((OUTSIDE,) * len(picture.getbands()), mask=outside)
    return greyed


def _scale_rows(picture: Image.Image, geometry: _Geometry) -> Image.Image:
    """Rows first: PIL's own choice of the order depends on its version, and rounds differently."""
    left, _, right, _ = geometry.seen
    width = geometry.place[2] - geometry.place[0]
    return picture.resize((width, picture.height), _BILINEAR, box=(left, 0, right, picture.height))


def _scale_columns(picture: Image.Image, geometry: _Geometry) -> Image.Image:
    _, top, _, bottom = geometry.seen
    height = geometry.place[3] - geometry.place[1]
    return picture.resize((picture.width, height), _BILINEAR, box=(0, top, picture.width, bottom))


def _geometry_of(height: int, width: int, config: Preprocessing) -> _Geometry:
    scale = config.scale if config.resize is Resize.WHOLE else 1.0
    assert not isinstance(scale, str), "the scale is chosen before anything is read"
    return _geometry(height, width, config.size, config.resize, scale)


@lru_cache
def _geometry(height: int, width: int, size: int, resize: Resize, scale: float) -> _Geometry:
    whole = (0, 0, width, height)
    match resize:
        case Resize.STRETCH:
            return _Geometry(whole, (0, 0, size, size), size, size)
        case Resize.CROP:
            seen = _centred(min(height, width), min(height, width), width, height)
            return _Geometry(seen, (0, 0, size, size), size, size)
        case Resize.PAD:
            long = max(height, width)
            scaled_width, scaled_height = (max(1, round(side * size / long)) for side in (width, height))
            return _Geometry(whole, _centred(scaled_width, scaled_height, size, size), size, size)
        case Resize.WHOLE:
            scaled_width, scaled_height = (max(1, round(side * scale)) for side in (width, height))
            rounded = (max(-(-side // STRIDE) * STRIDE, LEAST_SIDE) for side in (scaled_height, scaled_width))
            return _Geometry(whole, (0, 0, scaled_width, scaled_height), *rounded)


def _centred(inner_width: int, inner_height: int, width: int, height: int) -> tuple[int, int, int, int]:
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    return left, top, left + inner_width, top + inner_height


def _repeat_edges(images: Pixels, geometry: _Geometry) -> Pixels:
    """Fills what is beyond the place of images (n, h, w, …) with their nearest edge pixels."""
    height, width = images.shape[1:3]
    left, top, _, _ = geometry.place
    if height < geometry.height:
        images = images[:, np.clip(np.arange(geometry.height) - top, 0, height - 1)]
    if width < geometry.width:
        images = images[:, :, np.clip(np.arange(geometry.width) - left, 0, width - 1)]
    return images


def _to_channels_first(images: Pixels, channels: int) -> Pixels:
    """(n, h, w) or (n, h, w, 3) → (n, channels, h, w), C-contiguous."""
    if images.ndim == 3:
        return np.repeat(images[:, np.newaxis], channels, axis=1)
    channels_first: Pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return channels_first
