"""How large a file and a picture may be, and reading a file within that."""

import stat
from dataclasses import dataclass
from pathlib import Path

from anomaly.defaults import MAX_PIXELS
from anomaly.errors import ImageError, ImageTooLargeError, reason_of

_HEAD = 64  # bytes, by which a format is recognised


@dataclass(frozen=True)
class Limits:
    """The largest file and picture that are accepted; both are checked before pixels are decoded.

    Beyond `PIL_MAX_PIXELS` PIL refuses by itself, whatever is allowed here.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = MAX_PIXELS

    @property
    def workers(self) -> int | None:
        """How many threads may decode at once: one where larger pictures than usual are allowed; None: any number."""
        return 1 if self.max_pixels > Limits.max_pixels else None

    @classmethod
    def for_pixels(cls, max_pixels: int) -> "Limits":
        """For pictures of up to so many pixels, and files of up to 8 bytes a pixel, but at least as large as else."""
        return cls(max_bytes=max(cls.max_bytes, 8 * max_pixels + 2**20), max_pixels=max_pixels)


DEFAULT_LIMITS = Limits()


def check_size(size: tuple[int, int], name: str, limits: Limits) -> None:
    """Raises ImageTooLargeError for a width and height of more pixels than the limit."""
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"{name}: has {width} × {height} pixels; at most {limits.max_pixels:,} are accepted: scale it down"
        )


def bytes_of(source: Path | bytes, name: str, limits: Limits) -> bytes:
    """All of a file, or the bytes that are given.

    Raises:
        ImageTooLargeError: more than the limit; such a file is not read.
        ImageError: the file cannot be read.
    """
    data = source if isinstance(source, bytes) else _read(source, name, limits)
    if len(data) > limits.max_bytes:
        raise too_many_bytes(len(data), name, limits)
    return data


def head_of(source: Path | bytes, name: str) -> bytes:
    """The first bytes, by which a format is recognised. Raises ImageError if the file cannot be read."""
    if isinstance(source, bytes):
        return source[:_HEAD]
    try:
        with source.open("rb") as file:
            return file.read(_HEAD)
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be read ({reason_of(error)}); check the path and its permissions") from error


def _read(path: Path, name: str, limits: Limits) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{name}: is a folder; expected an image file")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{name}: is not a regular file; expected an image file")
        if status.st_size > limits.max_bytes:
            raise too_many_bytes(status.st_size, name, limits)
        with path.open("rb", buffering=0) as file:
            return file.readall()
    except FileNotFoundError as error:
        reason = "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
        raise ImageError(f"{name}: {reason}; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise ImageError(f"{name}: cannot be read ({reason_of(error)}); check the path and its permissions") from error


def too_many_bytes(num_bytes: int, name: str, limits: Limits) -> ImageTooLargeError:
    """The error, not yet raised, for a file that is not read because it has more bytes than the limit."""
    return ImageTooLargeError(
        f"{name}: has {num_bytes:,} bytes; at most {limits.max_bytes:,} are accepted: compress it or scale it down"
    )
