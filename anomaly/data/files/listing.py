"""Listing folders: recursive, in a fixed order; what is left out keeps its reason.

Hidden and system files and folders, and pictures that this program has drawn, are never images. That holds for what
lies inside a folder. The folder itself was named by the user and may be called anything.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from anomaly.data.files.left_out import LeftOut, Why
from anomaly.data.files.outputs import is_output
from anomaly.errors import reason_of
from anomaly.files import is_system_name

ACCEPTED_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".pbm", ".pgm", ".pnm", ".ppm"]
)
"""What the accepted formats are called; `decode` looks at the content, these only separate images from other files."""

IMAGE_SUFFIXES = ACCEPTED_SUFFIXES | {".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".tga"}
"""Also images, though not accepted: each one in a folder is reported as one that could not be used."""


def list_images(folder: Path) -> tuple[list[Path], list[LeftOut]]:
    """Images and masks alike under `folder`, by their suffix and sorted by path; and what is left out.

    Links to folders are followed, but never in a circle. A folder called `x.png` counts as an image: it takes a place
    in the result, where decoding will say what is wrong with it. A folder that cannot be listed is left out with the
    system's reason: nobody knows how many images it has.
    """
    images: list[Path] = []
    left_out: list[LeftOut] = []
    for path, is_hidden, reason in _walk(folder, ancestors=frozenset(), is_hidden=False):
        why = Why.UNREADABLE if reason and not is_hidden else _why_left_out(path, is_hidden)
        if why is None:
            images.append(path)
        else:
            left_out.append(LeftOut(str(path), why, reason))
    return images, left_out


def places_in(named: Path) -> list[Path]:
    """The images under a folder, then the folders that cannot be read; what is named itself where there are none."""
    images, left_out = list_images(named)
    return [*images, *(Path(file.path) for file in left_out if file.why is Why.UNREADABLE)] or [named]


def is_image_name(path: str | Path) -> bool:
    """Whether the suffix is an image's, in capitals or not; also of a name in an archive or an object store."""
    return PurePath(path).suffix.lower() in IMAGE_SUFFIXES


def is_left_out(path: Path, folder: Path) -> bool:
    """Whether `list_images` leaves out this file, which lies in `folder` at any depth."""
    is_hidden = any(_has_hidden_name(name) for name in path.relative_to(folder).parts)
    return _why_left_out(path, is_hidden) is not None


def _has_hidden_name(name: str) -> bool:
    """Whether a file or folder of that name is hidden, or is made by an operating system or a storage device."""
    return name.startswith(".") or is_system_name(name)


def subfolders(folder: Path) -> list[Path]:
    """The folders directly in `folder`, sorted by name, without hidden ones and those of systems."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _has_hidden_name(path.name))


def _why_left_out(path: Path, is_hidden: bool) -> Why | None:
    if is_hidden:
        return Why.HIDDEN
    if not is_image_name(path) and not path.is_dir():
        return Why.NO_IMAGE
    return Why.OUTPUT if is_output(path) else None


def _walk(folder: Path, ancestors: frozenset[tuple[int, int]], is_hidden: bool) -> Iterator[tuple[Path, bool, str]]:
    """Files, folders named like images and folders that cannot be listed, depth first by name.

    Each with whether it is hidden, and why it cannot be listed, or "".
    """
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield folder, is_hidden, reason_of(error)
        return
    identity = (status.st_dev, status.st_ino)
    if identity in ancestors:
        return
    for entry in entries:
        path = folder / entry.name
        hidden = is_hidden or _has_hidden_name(entry.name)
        if _is_folder(entry) and not is_image_name(path):
            yield from _walk(path, ancestors | {identity}, hidden)
        else:
            yield path, hidden, ""


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
