"""What takes seconds to make is made once, by the process of tests that needs it first, and read by all of them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The path `name`, alone in its folder, as `make` has made it. A test that changes it copies it first."""
    folder = shared_folder(factory) / name
    with FileLock(folder.with_name(f"{name}.lock")):
        if not (done := folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a failed attempt has left
            folder.mkdir()
            make(folder / "made" / name)
            done.touch()
    return folder / "made" / name


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """One folder for all processes of this run."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder
