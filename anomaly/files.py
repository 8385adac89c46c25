"""The one way in which files are written: a reader sees the whole new file, or the old one as it was.

The content goes to a work file beside the wanted one, which is renamed into its place when all is written. Each writer
has a work file of its own, so two writers of one file never mix: the last to end wins.
"""

import codecs
import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import translate
from pathlib import Path

from anomaly.errors import StorageError, UsageError, reason_of

_MAX_NAME_BYTES = 200  # of the 255 that a file's name may have; the rest is for what makes it unique
_SYSTEM_PATTERNS = (
    *(".ds_store", "._*", ".appledouble", ".localized", ".spotlight-v100", ".trashes", ".fseventsd"),  # macOS
    *("__macosx", "network trash folder", "temporary items", "icon\r"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler", "recycled"),  # Windows
    *("system volume information", "found.[0-9][0-9][0-9]"),
    *(".directory", ".trash-*", "lost+found", ".nfs*", ".fuse_hidden*"),  # Linux, its desktops and network file systems
    *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"),  # network storage
    *(".snapshot", "~snapshot", ".@__thumb"),
)
_SYSTEM_NAME = re.compile("|".join(map(translate, _SYSTEM_PATTERNS)))
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM}


def given_path(value: str | os.PathLike[str], name: str) -> Path:
    """The path that a user gave for `name`. An empty text is refused: it is never the folder at hand.

    Raises:
        UsageError: it is empty.
    """
    if isinstance(value, str) and not value.strip():
        raise UsageError(f"{name} is an empty text, as where a variable is not set; give a path")
    return Path(value)


def make_paths(options: object, *names: str) -> None:
    """Make paths of the texts in these fields of a frozen dataclass; None stays where it is the default.

    Raises:
        UsageError: one is neither a text nor a path, or is empty.
    """
    for name in names:
        value = getattr(options, name)
        if isinstance(value, str | os.PathLike):
            object.__setattr__(options, name, given_path(value, name))
        elif value is not None or not hasattr(type(options), name):
            raise UsageError(f"{name} is {value!r}; expected a path, as a text or a pathlib.Path")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty work file beside `path`. It takes the place of `path` at the end, or is removed if anything fails.

    A new file has the mode that the process' umask gives. An existing file keeps its mode, and until the end its work
    file can be read by nobody else. A link is replaced, not what it points at.

    Raises:
        OSError: the folder does not exist or cannot be written, or `path` is a folder, a device or a pipe.
    """
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise FileExistsError(errno.EEXIST, "It is a device or a pipe, and would be replaced by a file", str(path))
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    work = path.with_name(work_name(path, f"{os.getpid()}-{secrets.token_hex(4)}.partial"))
    os.close(os.open(work, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if mode is None else 0o600))
    try:
        yield work
        _sync(work)
        if mode is not None:
            work.chmod(mode)
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file at once. Raises OSError as `replacing` does."""
    with replacing(path) as work:
        work.write_bytes(data)


def check_replaceable(path: Path, is_own: Callable[[Path], bool], what: str) -> None:
    """Nothing that a user may have made is replaced: only what is empty, or what `is_own` knows as `what`.

    Raises:
        UsageError: a file is there that is something else, or cannot be read.
    """
    try:
        if not path.is_file() or not path.stat().st_size or is_own(path):
            return
        reason = f"is not {what}"
    except OSError as error:
        reason = f"cannot be read ({reason_of(error)})"
    raise UsageError(f"{path} exists and {reason}, so it is not replaced: move it away, or give another --out")


@contextmanager
def storing(what: str, folder: Path, *, instead: str, num_bytes: int | None = None) -> Iterator[None]:
    """What keeps `what` from being written into `folder` becomes one sentence: where, why, and what to do.

    `instead` is what else a user can do, in the imperative. `num_bytes` is what is needed, where it is known.

    Raises:
        StorageError: in the place of any OSError.
    """
    try:
        yield
    except OSError as error:
        room = _room(error, folder, num_bytes)
        raise StorageError(
            f"cannot write {what} into {folder}: {reason_of(error)}{room}. {_advice(error, instead)}"
        ) from error


def is_system_name(name: str) -> bool:
    """Whether a file or folder of that name is made by an operating system or a storage device, for itself."""
    return _SYSTEM_NAME.match(name.lower()) is not None


def to_text(name: str) -> str:
    r"""A file's name for texts that must be Unicode: bytes of it that are not UTF-8 become \xff and the like."""
    return name.encode(errors=sys.getfilesystemencodeerrors()).decode(errors="backslashreplace")


def work_name(path: Path, ending: str) -> str:
    """The name of a hidden file beside `path`, as long as a name may be."""
    name = os.fsdecode(os.fsencode(path.name)[:_MAX_NAME_BYTES])
    return f".{name}.{ending}"


def _room(error: OSError, folder: Path, num_bytes: int | None) -> str:
    """The bytes that are needed, where they are the matter, and those that are free on a full disk."""
    told = []
    if num_bytes is not None and error.errno in (*_FULL, errno.EFBIG):
        told.append(f"{num_bytes:,} bytes are needed")
    if error.errno in _FULL:
        there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
        told.append(f"{shutil.disk_usage(there).free:,} bytes are free")
    return f" ({', '.join(told)})" if told else ""


def _advice(error: OSError, instead: str) -> str:
    if error.errno in _FULL:
        return f"Free some space there, or {instead}"
    if error.errno == errno.EFBIG:
        return (
            "A file may not be so large there: by a limit of this account, which `ulimit -f` shows, or by the file "
            f"system, as FAT32 has one of 4 GiB. Raise the limit, use another file system, or {instead}"
        )
    if error.errno in _NOT_ALLOWED:
        return f"Allow writing there, or {instead}"
    return instead[0].upper() + instead[1:]


def _sync(path: Path) -> None:
    """Wait until the content is on the disk: a rename may get there first, and a crash would leave an empty file."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def text_encoding(data: bytes) -> str:
    """UTF-16 where a byte-order mark says so, else UTF-8; the mark itself, which Windows' editors write, is no text."""
    return "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
