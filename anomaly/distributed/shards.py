"""The shards of an archive: which there are, and by what it is known that one has changed.

A shard is a tar file (packed or not), a Parquet file, or a folder with the images that lie directly in it. SRC is a
folder, in which shards are found at any depth; one shard; or a text file (.txt) that names a shard in each line. Hidden
names, and those that begin with "_", are left out. What a folder holds beside pictures is found by `reading`.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from os.path import normpath
from pathlib import PurePosixPath

import numpy as np

from anomaly.data.files.listing import is_image_name
from anomaly.data.masks.finding import mask_folder_among
from anomaly.distributed.storage import Entry, Storage, absolute, storage_and_name
from anomaly.errors import DataError
from anomaly.files import to_text

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_LISTING = ".txt"
_FOLDER_RULES = b"masks and drawn pictures are left out"  # part of fingerprints: folders scored by others are done anew


class ShardKind(StrEnum):
    """What a shard is."""

    TAR = "tar"
    PARQUET = "parquet"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Shard:
    """Images that are scored together. `name` is that of its results, below DEST and without their suffix.

    It lies at `path` in `storage`, and within a folder of masks if `mask_folder` has the name of one below SRC.
    """

    name: str
    kind: ShardKind
    storage: Storage
    path: str
    mask_folder: str = ""

    @property
    def result(self) -> str:
        """The file of its results, below DEST. Its name is UTF-8: what reads tables reads no other."""
        return f"{to_text(self.name)}.parquet"


@dataclass(frozen=True, slots=True)
class InputState:
    """What a shard was when it was looked at: the names and sizes of its files as a hash, and when the last changed.

    `num_files` are those with an image's suffix in a folder; None for a shard of another kind.
    """

    fingerprint: str
    modified_ns: int
    num_files: int | None = None


def list_shards(source: str) -> Iterator[Shard]:
    """The shards of SRC, one after another, in a fixed order.

    Raises:
        DataError: SRC is not there, is no shard, or names one twice, or two whose results would be one file.
    """
    storage, name = storage_and_name(source)
    whole = Storage(absolute(source))
    entry = whole.look()
    if entry is None:
        raise DataError(f"{source} does not exist; expected a folder, a shard, or a .txt file that lists shards")
    if entry.is_folder:
        yield from _in_folder(whole, "", name, frozenset())
    elif name.lower().endswith(_LISTING):
        yield from _listed(storage, name)
    elif (kind := _kind_of(name)) is not None:
        yield Shard(name, kind, storage, name)
    else:
        raise DataError(f"{source} is no shard; expected a folder, .tar, .parquet, or a .txt file that lists shards")


def state_of(shard: Shard) -> InputState:
    """The state of a shard's files now. Raises DataError where it is gone, or is a folder without images."""
    is_folder = shard.kind is ShardKind.FOLDER
    files = folder_files(shard) if is_folder else [_file(shard)]
    if not files:
        raise DataError(
            f"{shard.name} is a folder that holds no images directly; a list names each shard by itself: name the "
            "folders of images, tar files and Parquet files in it, or give it as SRC"
        )
    digest = hashlib.sha256(shard.kind.encode())
    if is_folder:
        digest.update(_FOLDER_RULES + shard.mask_folder.encode(errors="surrogateescape"))
    for file in files:
        digest.update(f"\0{file.name}\0{file.num_bytes}".encode(errors="surrogateescape"))
    modified_ns = max((file.modified_ns for file in files), default=0)
    return InputState(digest.hexdigest(), modified_ns, len(files) if is_folder else None)


def folder_files(shard: Shard) -> list[Entry]:
    """The files with an image's suffix directly in a folder, sorted by name: masks and drawn pictures, too."""
    return [entry for entry in shard.storage.list(shard.path) if not entry.is_folder and is_image_name(entry.name)]


def _in_folder(storage: Storage, path: str, root_name: str, ancestors: frozenset[object]) -> Iterator[Shard]:
    """Depth first by name. Links to folders are followed, but never in a circle.

    A folder below SRC that cannot be listed is a shard, which will fail with the reason.
    """
    try:
        identity = storage.identity(path)
        entries = [] if identity in ancestors else storage.list(path)
    except DataError:
        if not path:
            raise
        yield Shard(path, ShardKind.FOLDER, storage, path)
        return
    if any(not entry.is_folder and is_image_name(entry.name) for entry in entries):
        if not path and any(entry.name == root_name for entry in entries):
            raise DataError(
                f"{storage} has images, and a folder {root_name!r} too, whose results would have the same name; move "
                "the images into a folder of their own"
            )
        mask_folder = mask_folder_among(PurePosixPath(path).parts)
        yield Shard(path or root_name, ShardKind.FOLDER, storage, path, mask_folder)
    below = ancestors if identity is None else ancestors | {identity}
    for entry in entries:
        inner = f"{path}/{entry.name}" if path else entry.name
        if entry.is_folder:
            yield from _in_folder(storage, inner, root_name, below)
        elif (kind := _kind_of(entry.name)) is not None:
            yield Shard(inner, kind, storage, inner)


def _listed(storage: Storage, name: str) -> Iterator[Shard]:
    """One in each line, relative to the folder of the list. Empty lines and those that begin with # are none."""
    if (line := _repeated(storage, name, partial(_plain, storage))) is not None:
        raise DataError(f"{storage}/{name} names a shard twice: {line}; name each once")
    if (line := _repeated(storage, name, _name_of)) is not None:
        raise DataError(
            f"{storage}/{name} names two shards whose results would both be {_name_of(line)}.parquet; give "
            "one of them by its absolute path"
        )
    for line in _lines(storage, name):
        folder, base = storage_and_name(_absolute(storage, line))
        yield Shard(_name_of(line), _kind_of(base) or ShardKind.FOLDER, folder, base)


def _repeated(storage: Storage, name: str, key_of: Callable[[str], str]) -> str | None:
    """The first line of the list of which another has the same key."""
    hashes = np.fromiter((hash(key_of(line)) for line in _lines(storage, name)), np.int64)
    hashes.sort()  # in place: 8 bytes for each shard are all that the list takes
    repeated = hashes[1:][hashes[1:] == hashes[:-1]]
    return next((line for line in _lines(storage, name) if hash(key_of(line)) in repeated), None)


def _name_of(line: str) -> str:
    """The name of the results: the line without what leads out of DEST."""
    shown = line.partition("://")[2].partition("?")[0] if "://" in line else line
    return "/".join(part for part in PurePosixPath(shown).parts if part not in ("/", ".", ".."))


def _lines(storage: Storage, name: str) -> Iterator[str]:
    with storage.stream(name) as file, io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape") as text:
        stripped = (line.strip() for line in text)
        yield from (line for line in stripped if line and not line.startswith("#"))


def _absolute(storage: Storage, line: str) -> str:
    if "://" in line or line.startswith("/"):
        return line.rstrip("/")
    path, question, query = storage.address.partition("?")
    return f"{path}/{line}".rstrip("/") + question + query


def _plain(storage: Storage, line: str) -> str:
    """The address of a line, by which two ways of writing one path are known."""
    address = _absolute(storage, line)
    return address if "://" in address else normpath(address)


def _kind_of(name: str) -> ShardKind | None:
    lower = name.lower()
    if lower.endswith(_TARS):
        return ShardKind.TAR
    return ShardKind.PARQUET if lower.endswith(".parquet") else None


def _file(shard: Shard) -> Entry:
    entry = shard.storage.look(shard.path)
    if entry is None or entry.is_folder:
        raise DataError(f"{shard.name} is not there any more" if entry is None else f"{shard.name} is a folder")
    return entry
