"""Exported folders, made once, and an environment with nothing but what they say they need."""

import os
import subprocess
import sys
import venv
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from anomaly.export import Runtime, export_bundle
from anomaly.pipeline.train import TrainOptions, train_bundle
from tests.shared import made_once


@pytest.fixture(scope="session")
def colour_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of colour images of 16 × 16 pixels, cropped, whose 16-bit pictures use 12 bits."""
    overrides: dict[str, dict[str, Any]] = {
        "preprocess": {"size": 16, "channels": 3, "resize": "crop", "range": 12},
        "network": {"latent_dim": 4, "width": 4},
        "training": {"steps": 40, "batch_size": 16},
    }

    def train(out: Path) -> None:
        train_bundle(
            TrainOptions(data="digits", out=out, recipe="digits", overrides=overrides, normal=("0",), device="cpu")
        )

    return made_once(tmp_path_factory, "colour", train)


@pytest.fixture(scope="session")
def onnx_folder(colour_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The colour bundle, exported to ONNX."""
    return made_once(tmp_path_factory, "onnx", lambda out: export_bundle(colour_dir, out, Runtime.ONNX))


@pytest.fixture(scope="session")
def openvino_folder(bigan_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny grey bundle, exported to OpenVINO; its path was given as people type it."""

    def export(out: Path) -> None:
        with chdir(out.parent.parent):
            export_bundle(bigan_dir, Path(out.parent.name, out.name), Runtime.OPENVINO)

    return made_once(tmp_path_factory, "openvino", export)


@pytest.fixture(scope="session")
def onnx_python(onnx_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with what the folder's requirements.txt names, tifffile, and nothing else."""
    needed = onnx_folder / "requirements.txt"
    return made_once(tmp_path_factory, "onnx-python", partial(_make_python, needed=needed)) / "bin" / "python"


@pytest.fixture(scope="session")
def openvino_python(openvino_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for OpenVINO."""
    needed = openvino_folder / "requirements.txt"
    return made_once(tmp_path_factory, "openvino-python", partial(_make_python, needed=needed)) / "bin" / "python"


def _make_python(folder: Path, needed: Path) -> None:
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--requirement"]
    done = subprocess.run([*command, str(needed), "tifffile"], capture_output=True, text=True, check=False)
    if done.returncode:
        # skipped, not failed: a machine without a package index cannot install anything; CI has one
        pytest.skip(f"pip cannot install the packages of an exported folder here: {done.stderr.strip()[-500:]}")


def run_alone(python: Path, program: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """A program of an exported folder, by an environment that sees nothing of ours, from another folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [str(python), "-B", str(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=kept, cwd=python.parent)
