"""Paths as people write them into lists: relative or not, with Windows' backslashes, from the home folder.

Letters with accents have two forms in Unicode: composed (NFC), as most systems write them, and decomposed (NFD), as
macOS does. They look alike, and are other names.
"""

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
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

    What exists as it is written is taken so. Else spaces around it are dropped, `~/` is the home folder, `\` is a `/`
    where the system knows no `\`, and the other form of Unicode is tried.
    """
    spellings = list(_spellings(written))
    for name in chain(spellings, _in_other_forms(spellings)):
        if (place := _look(folder / name)).is_there:
            return place
    name = written.strip()
    if _URL.match(name):
        return f"{name} is a URL; expected the path of a file on this machine: fetch it first"
    if os.name != "nt" and (_DRIVE.match(name) or name.startswith(_SHARE)):
        return f"{name} is a path of a Windows machine; write it relative to the manifest, or as it is called here"
    return _look(folder / spellings[-1])


def _spellings(written: str) -> Iterator[str]:
    yield written
    name = written.strip()
    yield name
    if name.startswith(("~/", "~\\")):
        name = f"{Path.home()}{name[1:]}"
        yield name
    if os.sep != "\\":
        yield name.replace("\\", "/")


def _in_other_forms(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        forms = {unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)}
        yield from sorted(forms - {name})


def _look(path: Path) -> Located:
    """Which file it is, by device and number; of one that does not exist, by its path."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        is_there = isinstance(error, PermissionError)  # reading will say what is wrong
        return Located(path, os.path.normpath(path), is_there)
    return Located(path, (status.st_dev, status.st_ino), True, stat.S_ISDIR(status.st_mode))
