"""Paths as people write them into lists: relative or not, with Windows' backslashes, from the home folder."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]:[\\/]", re.IGNORECASE)
_SHARE = "\\\\"


@dataclass(frozen=True)
class Located:
    """A file that a list names. Two names of one file, by links or by `./`, have the same identity."""

    path: Path
    identity: object
    is_there: bool
    is_folder: bool = False


def locate(written: str, folder: Path) -> Located | str:
    r"""The file that `written` names, relative to `folder`, or what is wrong with it.

    What exists as it is written is taken so. Else spaces around it are dropped, `~/` is the home folder, and `\` is a
    `/` where the system knows no `\`.
    """
    candidates = [folder / name for name in _spellings(written)]
    for path in candidates:
        if (place := _look(path)).is_there:
            return place
    name = written.strip()
    if _URL.match(name):
        return f"{name} is a URL; expected the path of a file on this machine: fetch it first"
    if os.name != "nt" and (_DRIVE.match(name) or name.startswith(_SHARE)):
        return f"{name} is a path of a Windows machine; write it relative to the manifest, or as it is called here"
    return _look(candidates[-1])


def _spellings(written: str) -> Iterator[str]:
    yield written
    name = written.strip()
    yield name
    if name.startswith(("~/", "~\\")):
        name = f"{Path.home()}{name[1:]}"
        yield name
    if os.sep != "\\":
        yield name.replace("\\", "/")


def _look(path: Path) -> Located:
    """Which file it is, by device and number; of one that does not exist, by its path."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        is_there = isinstance(error, PermissionError)  # reading will say what is wrong
        return Located(path, os.path.normpath(path), is_there)
    return Located(path, (status.st_dev, status.st_ino), True, stat.S_ISDIR(status.st_mode))
