"""What `Detector.score` is given, as chunks of preprocessed pixels: files, PIL images, arrays, a batch."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import IOBase
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from anomaly.config import PreprocessConfig
from anomaly.counted import Size
from anomaly.data import (
    Named,
    Picture,
    Pixels,
    PixelsOfImages,
    Remarks,
    blank,
    chunk_size,
    map_ahead,
    preprocess_batch,
    read,
    read_all,
    to_image,
    to_pixels,
    together,
)
from anomaly.errors import ImageError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

Image = str | Path | PIL.Image.Image | Pixels
Images: TypeAlias = "Image | Iterable[Image | bytes] | NDArray[np.floating] | NDArray[np.str_] | Tensor"
"""One image, several, which may come from a generator, or a batch. Of several some may be the bytes of a file."""

_EACH_BATCH = "score each batch of a DataLoader by itself, and of a batch (images, labels) the images alone"


@dataclass(frozen=True)
class ReadImages:
    """Preprocessed pixels, the images' heights and widths, and why they could not be read.

    An image that could not be read is black here, and has the size of one pixel. `unseen` is what of each image's
    file nobody looked at, mostly None; `remarks` say of how many images what is true of their files.
    """

    pixels: PixelsOfImages
    sizes: list[Size]
    errors: list[str | None]
    unseen: list[str | None]
    remarks: Remarks = field(default_factory=Remarks)

    @classmethod
    def join(cls, parts: Sequence["ReadImages"]) -> "ReadImages":
        """All chunks, at least one, in order."""
        arrays = [part.pixels for part in parts if isinstance(part.pixels, np.ndarray)]
        images = [image for part in parts for image in part.pixels] if len(arrays) < len(parts) else None
        remarks = Remarks()
        for part in parts:
            remarks.update(part.remarks)
        return cls(
            np.concatenate(arrays) if images is None else images,
            [size for part in parts for size in part.sizes],
            [error for part in parts for error in part.errors],
            [each for part in parts for each in part.unseen],
            remarks,
        )


def read_images(images: Images, config: PreprocessConfig) -> Iterator[ReadImages]:
    """Chunks in order, at least one; the next are decoded in threads while one is scored.

    Raises:
        UsageError: `images` is none of these, a batch has another shape or type, or one of floats has no value below 0
            or none but NaN.
    """
    batch = _batch_of(images)
    if batch is not None:
        _check_batch(batch)
        if batch.dtype == np.uint8:
            images = np.asarray(batch, np.uint8).transpose(0, 2, 3, 1)
            yield from _read_array(_without_single_channel(images), config)
            return
        results = _read_floats(batch, config)
    else:
        results = read_all((_named(index, image, config) for index, image in enumerate(_each(images))), config)
    num = chunk_size(config)
    yield _collect(list(islice(results, num)), config)
    while chunk := list(islice(results, num)):
        yield _collect(chunk, config)


def _each(images: object) -> Iterable[Image | bytes]:
    """One image, or several. Raises UsageError for what is neither; of a file and of bytes there would be parts."""
    if _is_of_torch(images, "DataLoader", module="torch.utils.data"):
        raise UsageError(f"images are of DataLoader, which gives batches and not images; {_EACH_BATCH}")
    if is_table(images):
        raise UsageError(
            f"images are of {type(images).__name__}; give the column or the value of it that has the paths, such as "
            'images["path"]'
        )
    if isinstance(images, str | Path | PIL.Image.Image):
        return [images]
    if isinstance(images, np.ndarray):
        return _each_of_array(images)
    if isinstance(images, Iterable) and not isinstance(images, bytes | bytearray | IOBase):
        return images
    raise UsageError(
        f"images are of {type(images).__name__}; expected a path, a PIL image or a uint8 array, a list of them, or a "
        "batch (n, c, h, w); the bytes of a file go into a list"
    )


def is_table(images: object) -> bool:
    """Whether it is a table of pandas or of its like, or a dictionary: who goes through one gets names of columns."""
    return isinstance(images, Mapping) or hasattr(images, "columns")


def _each_of_array(array: NDArray[Any]) -> list[Image]:
    """One image, or what an array of texts or of objects holds. Raises UsageError for any other."""
    if array.dtype.kind in "OU" and array.ndim <= 1:
        return list(array.ravel())
    if array.dtype.kind not in "OU" and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
        return [array]
    raise UsageError(
        f"this array of {array.dtype} has the shape {array.shape}; expected one image (h, w) or (h, w, c) with c = 1, "
        "3 or 4, a batch (n, c, h, w), or paths (n,): give images (n, h, w) as list(images)"
    )


def _named(index: int, image: Image | bytes, config: PreprocessConfig) -> Named:
    """An image, and what error messages call it: its path, or its place among those given.

    This runs in the caller's thread when the image is taken, and the threads that read it later may find an object
    changed: a generator may fill one array anew or seek in one file, and a PIL image that is there twice loads itself
    in two threads at once. So a PIL image and an array are copied here.
    """
    if isinstance(image, str | Path):
        return str(image), Path(image)
    name = f"image {index}"
    if isinstance(image, list | tuple) or _is_of_torch(image, "Tensor"):
        return name, ImageError(
            f"{name}: is of the type {type(image).__name__}; expected a path, a PIL image or an array of uint8. "
            f"Tensors are scored as one batch (n, c, h, w): torch.stack makes one of a list; {_EACH_BATCH}"
        )
    if not isinstance(image, PIL.Image.Image):
        return name, np.array(image) if isinstance(image, np.ndarray) else image
    try:
        plain = to_image(image, name=name, value_range=config.range)
    except ImageError as error:
        return name, type(error)(str(error))  # without its traceback, which keeps the picture in memory
    return name, plain.copy() if plain is image else plain


def _read_floats(batch: NDArray[np.generic], config: PreprocessConfig) -> Iterator[Picture | ImageError]:
    """Images (c, h, w) in [-1, 1], rounded to 8 bits."""
    for index, image in enumerate(batch):
        name = f"image {index}"
        if ((image >= -1) & (image <= 1)).all():
            pixels = to_pixels(image).transpose(1, 2, 0)
            yield read(_without_single_channel(pixels), config, name=name)
        else:
            yield ImageError(f"{name}: floats of a batch lie in [-1, 1]; these go beyond, or are not finite")


def _read_array(images: Pixels, config: PreprocessConfig) -> Iterator[ReadImages]:
    """Images of one size (n, h, w) or (n, h, w, 3)."""
    num = chunk_size(config)
    chunks = [images[start : start + num] for start in range(0, max(len(images), 1), num)]
    read_chunk = partial(_read_chunk, config=config)
    yield from map(read_chunk, chunks) if len(chunks) == 1 else map_ahead(read_chunk, chunks, workers=1)


def _read_chunk(chunk: Pixels, config: PreprocessConfig) -> ReadImages:
    n, height, width = chunk.shape[:3]
    return ReadImages(
        preprocess_batch(chunk, config) if n else blank(0, config), [(height, width)] * n, [None] * n, [None] * n
    )


def _collect(results: Sequence[Picture | ImageError], config: PreprocessConfig) -> ReadImages:
    blanks = blank(len(results), config)
    remarks = Remarks()
    for picture in results:
        if isinstance(picture, Picture):
            remarks.add(picture.name, picture.remarks)
    images = [r.pixels if isinstance(r, Picture) else b for r, b in zip(results, blanks, strict=True)]
    return ReadImages(
        together(images, config) if images else blanks,
        [(r.height, r.width) if isinstance(r, Picture) else (1, 1) for r in results],
        [None if isinstance(r, Picture) else str(r) for r in results],
        [r.unseen if isinstance(r, Picture) else None for r in results],
        remarks,
    )


def _batch_of(images: Images) -> NDArray[np.generic] | None:
    """A batch, which is a tensor or an array of four dimensions, as an array; None for anything else."""
    if _is_of_torch(images, "Tensor"):
        tensor = cast("Tensor", images).detach().cpu()
        array: NDArray[np.generic] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        return array
    return images if isinstance(images, np.ndarray) and images.ndim == 4 else None


def _is_of_torch(value: object, name: str, *, module: str = "torch") -> bool:
    """Whether it is of this class: who has one has imported torch, and nobody else needs it here."""
    kind = getattr(sys.modules.get(module), name, None)  # another thread may be importing it right now
    return kind is not None and isinstance(value, kind)


def _check_batch(batch: NDArray[np.generic]) -> None:
    if batch.ndim != 4 or batch.shape[1] not in (1, 3) or 0 in batch.shape[2:]:
        raise UsageError(f"a batch has the shape (n, c, h, w) with 1 or 3 channels; this one has {batch.shape}")
    if batch.dtype != np.uint8 and not np.issubdtype(batch.dtype, np.floating):
        raise UsageError(f"a batch is of uint8, or of floats in [-1, 1]; this one is of {batch.dtype}")
    if batch.dtype != np.uint8 and batch.size and np.isnan(batch).all():
        raise UsageError("all values of this batch are NaN; expected floats in [-1, 1], where black is -1")
    if batch.dtype != np.uint8 and batch.size and not np.less(batch, 0).any():
        raise UsageError(
            "no value of this batch of floats is below 0, so it may be scaled to [0, 1]; expected floats in [-1, 1], "
            "where black is -1: give 2 * batch - 1 for floats in [0, 1], or give uint8"
        )


def _without_single_channel(array: Pixels) -> Pixels:
    """(…, h, w, 1) → (…, h, w); colour stays."""
    return array[..., 0] if array.shape[-1] == 1 else array
