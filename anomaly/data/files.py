"""Finding images in folders: recursive, in a fixed order, leaving out no file that claims to be an image."""

import os
from collections.abc import Iterator
from pathlib import Path

ACCEPTED_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".pbm", ".pgm", ".pnm", ".ppm"]
)
"""What the accepted formats are called; `decode` looks at the content, these only separate images from other files."""

IMAGE_SUFFIXES = ACCEPTED_SUFFIXES | {".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".tga"}
"""Also images, though not accepted: each one in a folder is reported as one that could not be used."""


def find_images(folder: Path) -> tuple[list[Path], int]:
    """Everything under `folder` with an image's suffix, sorted by path, and the number of other files.

    Links to folders are followed, but never in a circle. A folder called `x.png`, or one that cannot be listed, counts
    as an image: it takes a place in the result, where decoding will say what is wrong with it.
    """
    images: list[Path] = []
    num_others = 0
    for path in _walk(folder, ancestors=frozenset()):
        if is_image_name(path) or path.is_dir():
            images.append(path)
        else:
            num_others += 1
    return images, num_others


def is_image_name(path: Path) -> bool:
    """Whether the suffix is an image's, in capitals or not."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def subfolders(folder: Path) -> list[Path]:
    """The folders directly in `folder`, sorted by name, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _walk(folder: Path, ancestors: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """Files, folders named like images and folders that cannot be listed, depth first by name."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    identity = (status.st_dev, status.st_ino)
    if identity in ancestors:
        return
    for entry in entries:
        path = folder / entry.name
        if _is_folder(entry) and not is_image_name(path):
            yield from _walk(path, ancestors | {identity})
        else:
            yield path


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
