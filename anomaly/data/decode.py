"""From bytes to pixels, safely: formats by allow-list, sizes checked before anything is decoded, every error named.

Decoding is thread-safe, changes none of PIL's settings, and reads only the first frame of animations and the first page
of documents.
"""

import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from anomaly.data.appearance import as_seen, quiet
from anomaly.errors import ImageError, ImageTooLargeError, UndecodableImageError, UnsupportedFormatError

Pixels = NDArray[np.uint8]

_FORMAT_OF_SIGNATURE = {  # WebP apart: its signature is in two pieces
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
}
_ACCEPTED = "JPEG, PNG, WebP, BMP and TIFF"
_MAX_PACKED_TEXTS = 16
"""In one PNG. PIL unpacks each, to up to 1 MiB, and a small file can have thousands."""


@dataclass(frozen=True)
class Limits:
    """The largest file and picture that are accepted; both are checked before pixels are decoded.

    Beyond 178 million pixels PIL refuses by itself, whatever is allowed here.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = 64_000_000


DEFAULT_LIMITS = Limits()


def decode(source: Path | bytes, *, name: str, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """The picture in a file or in bytes as a person sees it (see `appearance`): mode "L" or "RGB", no metadata.

    The format is recognised by content, never by suffix. `name` is what error messages call the image.

    Raises:
        ImageTooLargeError: more bytes or pixels than `limits` allow.
        UnsupportedFormatError: not one of the accepted formats, or pixels without a fixed range.
        UndecodableImageError: an accepted format, but empty, truncated or damaged.
        ImageError: the file cannot be read.
    """
    data = source if isinstance(source, bytes) else _read(source, name, limits)
    if len(data) > limits.max_bytes:
        raise _too_many_bytes(len(data), name, limits)
    file_format = _recognise(data, name)
    with _naming(name):
        if file_format == "PNG":
            _check_png_chunks(data)
        with quiet():
            image = Image.open(BytesIO(data), formats=[file_format])
            _check_size(image.size, name, limits)
            if file_format == "TIFF":
                _check_tiff_strips(image)
                image.load()  # here, because it reads metadata, of whose damages PIL warns
        return as_seen(image, name=name)


def to_image(image: Image.Image | Pixels, *, name: str = "") -> Image.Image:
    """A PIL image or an array as a PIL image of mode "L" or "RGB".

    Arrays may be (h, w), (h, w, 1), (h, w, 3) in RGB order, or (h, w, 4) with an alpha channel. `name` is what error
    messages call the image; by default that of the file that PIL opened, if there is one.

    Raises:
        ImageError: an array of another dtype or shape, or an image that PIL cannot load.
    """
    name = name or str(getattr(image, "filename", "")) or "the image"
    if not isinstance(image, Image.Image):
        _check_array(image, name)
        image = Image.fromarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    with _naming(name):
        return as_seen(image, name=name)


def to_array(image: Image.Image | Pixels) -> Pixels:
    """What `to_image` gives, as uint8 pixels of shape (h, w), or (h, w, 3) in RGB order."""
    return np.array(to_image(image))


def _read(path: Path, name: str, limits: Limits) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{name}: is a folder; expected an image file")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{name}: is not a regular file; expected an image file")
        if status.st_size > limits.max_bytes:
            raise _too_many_bytes(status.st_size, name, limits)
        with path.open("rb", buffering=0) as file:
            return file.readall()
    except FileNotFoundError as error:
        reason = "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
        raise ImageError(f"{name}: {reason}; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{name}: cannot be read ({reason}); check the path and its permissions") from error


def _recognise(data: bytes, name: str) -> str:
    """The format by the first bytes."""
    if not data:
        raise UndecodableImageError(f"{name}: is empty (0 bytes); expected one of {_ACCEPTED}")
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    for signature, file_format in _FORMAT_OF_SIGNATURE.items():
        if data.startswith(signature):
            return file_format
    raise UnsupportedFormatError(
        f"{name}: is not in an accepted image format (its first bytes are {data[:8]!r}); "
        f"expected one of {_ACCEPTED}: convert it and try again"
    )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turns whatever PIL raises on a damaged file into one error that names the image."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(f"{name}: has more pixels than can be decoded safely; scale it down") from error
    except UnidentifiedImageError as error:
        raise UndecodableImageError(
            f"{name}: cannot be decoded (its header is damaged or says 0 pixels); export it again"
        ) from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise UndecodableImageError(f"{name}: cannot be decoded ({reason}); export it again") from error


def _check_size(size: tuple[int, int], name: str, limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"{name}: has {width} × {height} pixels; at most {limits.max_pixels:,} are accepted: scale it down"
        )


def _check_png_chunks(data: bytes) -> None:
    """PIL does not compare the checksums of pixel data, and so shows some damaged files with wrong pixels."""
    start, kind, num_packed = 8, b"", 0
    while kind != b"IEND":
        length = int.from_bytes(data[start : start + 4])
        kind, checksum = data[start + 4 : start + 8], data[start + 8 + length : start + 12 + length]
        if len(checksum) < 4:
            raise ValueError("the file is truncated")
        if kind[0] & 0x20 == 0 and zlib.crc32(data[start + 4 : start + 8 + length]) != int.from_bytes(checksum):
            raise ValueError(f"the checksum of a {kind.decode('latin-1')} chunk is wrong")
        num_packed += kind in (b"zTXt", b"iTXt")
        if num_packed > _MAX_PACKED_TEXTS:
            raise ValueError(f"it has more than {_MAX_PACKED_TEXTS} packed texts")
        start += 12 + length


def _check_tiff_strips(image: ImageFile.ImageFile) -> None:
    """Strips or tiles that a TIFF does not list are black to PIL, however high the picture says it is."""
    boxes = [tile[1] for tile in image.tile if tile[1]]
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    if covered < image.width * image.height:
        raise ValueError("its strips are fewer than its height needs")


def _check_array(array: Pixels, name: str) -> None:
    if array.dtype != np.uint8:
        raise ImageError(f"{name}: its array has dtype {array.dtype}; expected uint8: scale the pixels to 0 … 255")
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))) or 0 in array.shape:
        raise ImageError(f"{name}: its array has shape {array.shape}; expected (h, w), or (h, w, c) with c = 1, 3 or 4")


def _too_many_bytes(num_bytes: int, name: str, limits: Limits) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{name}: has {num_bytes:,} bytes; at most {limits.max_bytes:,} are accepted: compress it or scale it down"
    )
