"""A folder on a disk or in an object store.

Stores are pyarrow's file systems; their credentials are as these take them. On a disk pyarrow is not asked: it
reads no names that are not UTF-8, and leaves out links that lead nowhere.

Names are relative to the folder, with "/" between their parts. A file is written at once or not at all: on a disk
beside its place and renamed into it, in an object store by one put.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from anomaly.errors import DataError, UsageError, first_line
from anomaly.extras import require
from anomaly.files import is_system_name, storing, write_atomically

_BUFFER = 8 * 2**20  # bytes: each read of an object store is a request
_WORK_ENDING = ".partial"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder within a folder; `modified_ns` are nanoseconds since 1970."""

    name: str
    is_folder: bool
    num_bytes: int = 0
    modified_ns: int = 0


@dataclass(frozen=True)
class Storage:
    """A folder, by its path or by its address: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX."""

    address: str

    def __post_init__(self) -> None:
        """Raises UsageError where pyarrow is not installed."""
        require("an archive", "parquet", "pyarrow")

    def __str__(self) -> str:
        return self.address

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk."""
        return "://" not in self.address

    def local(self, name: str = "") -> Path:
        """The path of a name on a disk."""
        return Path(self.address, name).absolute()

    def list(self, folder: str = "") -> list[Entry]:
        """What lies in a folder, sorted by name, without what is hidden or a system's; names are relative to it.

        A link that leads nowhere is a file, and so are pipes and devices: who opens one is told so.

        Raises:
            DataError: it cannot be listed.
        """
        with self._reading(folder):
            entries = _on_disk(self.local(folder)) if self.is_local else self._in_store(folder)
        shown = (e for e in entries if e.name and e.name[0] not in "._" and not is_system_name(e.name))
        return sorted(shown, key=lambda entry: entry.name)

    def identity(self, folder: str = "") -> tuple[int, int] | None:
        """What tells a folder on a disk from others, by whatever links it is reached; None in an object store.

        Raises:
            DataError: it is not there, or may not be looked at.
        """
        if not self.is_local:
            return None
        with self._reading(folder):
            found = self.local(folder).stat()
        return found.st_dev, found.st_ino

    def look(self, name: str = "") -> Entry | None:
        """A file or folder; None where there is none."""
        if self.is_local:
            with self._reading(name):
                return _entry_of(self.local(name))
        from pyarrow.fs import FileType

        with self._reading(name):
            info = self._files.get_file_info(self._path(name))
        return None if info.type == FileType.NotFound else _entry(info)

    @contextmanager
    def stream(self, name: str) -> Iterator[BinaryIO]:
        """A file from its beginning on. Raises DataError where it cannot be opened, and OSError while it is read."""
        with self._reading(name):
            file = self._opened_on_disk(name) or self._files.open_input_stream(
                self._path(name), compression=None, buffer_size=_BUFFER
            )
        with file:
            yield file

    @contextmanager
    def open(self, name: str) -> Iterator[Any]:
        """A file in which one can seek. Raises as `stream` does."""
        with self._reading(name):
            file = self._opened_on_disk(name) or self._files.open_input_file(self._path(name))
        with file:
            yield file

    def write(self, name: str, data: bytes, *, not_before_ns: int = 0) -> None:
        """Put a file there at once; on a disk it is told to be no older than this time, which may lie in the future.

        Raises:
            StorageError: it cannot be written.
        """
        with storing(name, Path(self.address), instead="choose another --out"):
            if self.is_local:
                place = self.local(name)
                place.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(place, data)
                if place.stat().st_mtime_ns < not_before_ns:
                    os.utime(place, ns=(not_before_ns, not_before_ns))
            else:
                with self._files.open_output_stream(self._path(name), compression=None) as file:
                    file.write(data)

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        if self.look(name) is not None:
            with storing(name, Path(self.address), instead="choose another --out"):
                self.local(name).unlink() if self.is_local else self._files.delete_file(self._path(name))

    def clean(self) -> None:
        """Remove what writers left on a disk that were killed. Nobody may write there meanwhile."""
        if self.is_local:
            for path in self.local().rglob(f".*{_WORK_ENDING}"):
                path.unlink(missing_ok=True)

    def _in_store(self, folder: str) -> Sequence[Entry]:
        from pyarrow.fs import FileSelector, FileType

        found = self._files.get_file_info(FileSelector(self._path(folder)))
        return [_entry(info) for info in found if info.type in (FileType.File, FileType.Directory)]

    def _opened_on_disk(self, name: str) -> BinaryIO | None:
        """None where it is no disk. A pipe is refused: to open one waits until somebody writes into it."""
        if not self.is_local:
            return None
        path = self.local(name)
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # of a folder the system itself says so
            raise OSError("it is not a regular file")
        return path.open("rb", buffering=_BUFFER)

    @property
    def _files(self) -> Any:
        return _opened(self.address)[0]

    def _path(self, name: str) -> str:
        root: str = _opened(self.address)[1]
        return f"{root.rstrip('/')}/{name}" if name else root

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeError, ValueError) as error:
            what = f"{name or 'the folder'} in {self.address}"
            raise DataError(f"{what} cannot be read: {system_reason(error)}") from error


def system_reason(error: BaseException) -> str:
    """What the system says, without the path and the numbers that pyarrow adds; of other errors the first line."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else first_line(error)


def storage_and_name(address: str) -> tuple[Storage, str]:
    """The folder that a file or folder lies in, and its name there."""
    if "://" not in address:
        path = Path(address).absolute()
        return Storage(str(path.parent)), path.name
    whole, question, query = address.partition("?")
    folder, _, name = whole.rstrip("/").rpartition("/")
    return Storage(folder + question + query), name


def absolute(address: str) -> str:
    """An address that means the same to processes that run in other folders."""
    return address if "://" in address else str(Path(address).absolute())


@lru_cache(maxsize=16)
def _opened(address: str) -> tuple[Any, str]:
    from pyarrow.fs import FileSystem

    if urlsplit(address).username:
        raise UsageError(
            "an address with credentials would be written into the manifest; set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY instead, or what else the file system takes"
        )
    try:
        files, path = FileSystem.from_uri(address)
    except (OSError, ValueError) as error:  # pyarrow's errors are of these
        raise UsageError(
            f"{address} cannot be opened: {first_line(error)}; expected a path, s3://… or gs://…"
        ) from error
    return files, path


def _on_disk(folder: Path) -> Sequence[Entry]:
    """All but what has gone meanwhile."""
    with os.scandir(folder) as found:
        names = [(entry.name, entry.is_symlink()) for entry in found]
    entries: list[Entry] = []
    for name, is_link in names:
        entry = _entry_of(folder / name)
        if entry is not None:
            entries.append(entry)
        elif is_link:
            entries.append(Entry(name, is_folder=False))
    return entries


def _entry_of(path: Path) -> Entry | None:
    """None where there is nothing, or a link that leads nowhere."""
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    is_folder = stat.S_ISDIR(status.st_mode)
    return Entry(path.name, is_folder, 0 if is_folder else status.st_size, 0 if is_folder else status.st_mtime_ns)


def _entry(info: Any) -> Entry:
    from pyarrow.fs import FileType

    is_folder = info.type == FileType.Directory
    return Entry(info.base_name, is_folder, 0 if is_folder else info.size or 0, 0 if is_folder else info.mtime_ns or 0)
