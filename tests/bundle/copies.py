"""Copies of a bundle to break: the loader must tell."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from anomaly.bundle.layout import SUMS


@contextmanager
def copy_of(bundle: Path) -> Iterator[Path]:
    """A version directory `…/name/1` with the files of `bundle`: one a `with`, where `tmp_path` is one a test."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "name" / "1"
        shutil.copytree(bundle, copied)
        yield copied


def refuse_writing(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """As where this account may read a model's folder, and not write there; the tests may run as root, who may."""
    make = os.mkdir

    def refuse(path: str | Path, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if Path(path).resolve().parent == folder.resolve():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        make(path, mode, dir_fd=dir_fd)

    patch.setattr(os, "mkdir", refuse)


def sum_again(bundle: Path) -> None:
    """Right sums over wrong files: what is wrong must be found by reading them."""
    files = sorted(file for file in bundle.iterdir() if file.name != SUMS)
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (bundle / SUMS).write_text("".join(lines))
