"""The one way in which files are written: a reader sees the whole new file, or the old one as it was.

The content goes to a work file beside the wanted one, which is renamed into its place when all is written. Each writer
has a work file of its own, so two writers of one file never mix: the last to end wins.
"""

import codecs
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAX_NAME_BYTES = 200  # of the 255 that a file's name may have; the rest is for what makes it unique


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty work file beside `path`. It takes the place of `path` at the end, or is removed if anything fails.

    A new file has the mode that the process' umask gives. An existing file keeps its mode, and until the end its work
    file can be read by nobody else. A link is replaced, not what it points at.

    Raises:
        OSError: the folder does not exist or cannot be written, or `path` is a folder.
    """
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    work = _work_file(path)
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


def _work_file(path: Path) -> Path:
    name = os.fsdecode(os.fsencode(path.name)[:_MAX_NAME_BYTES])
    return path.with_name(f".{name}.{os.getpid()}-{secrets.token_hex(4)}.partial")


def _sync(path: Path) -> None:
    """Wait until the content is on the disk: a rename may get there first, and a crash would leave an empty file."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def text_encoding(data: bytes) -> str:
    """UTF-16 where a byte-order mark says so, else UTF-8; the mark itself, which Windows' editors write, is no text."""
    return "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
