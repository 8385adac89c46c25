"""Copies of a bundle to break: the loader must tell."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anomaly.bundle.layout import SUMS


@contextmanager
def copy_of(bundle: Path) -> Iterator[Path]:
    """A version directory `…/name/1` with the files of `bundle`: one a `with`, where `tmp_path` is one a test."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "name" / "1"
        shutil.copytree(bundle, copied)
        yield copied


def sum_again(bundle: Path) -> None:
    """Right sums over wrong files: what is wrong must be found by reading them."""
    files = sorted(file for file in bundle.iterdir() if file.name != SUMS)
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (bundle / SUMS).write_text("".join(lines))
