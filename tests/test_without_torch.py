"""Scoring and serving where torch is not installed: in an environment of its own, with the extras onnx and server."""

import csv
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from anomaly.pipeline.score import score_paths
from tests.digit_images import normals, others, write_images

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the environment's programs."""
    folder = tmp_path_factory.mktemp("small")
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    install = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--quiet"]
    what = ["--constraint", str(ROOT / "constraints.txt"), f"{ROOT}[server,onnx]"]
    done = subprocess.run([*install, *what], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip cannot install the extras onnx and server here: {done.stderr.strip()[-500:]}")
    return programs


def run(programs: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [str(programs / "anomaly"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=programs)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_torch_is_not_there(programs: Path) -> None:
    done = subprocess.run([str(programs / "python"), "-c", "import torch"], capture_output=True, text=True, check=False)
    assert "No module named 'torch'" in done.stderr


def test_images_are_scored_as_they_are_with_torch_beside(programs: Path, bigan_dir: Path, tmp_path: Path) -> None:
    images = write_images(tmp_path / "in", [*normals()[:20], *others()[:20]])
    done = run(programs, "score", bigan_dir, *images, "--out", tmp_path / "small.csv", "--fdr", "0.2")
    assert (done.returncode, done.stderr) == (0, "")
    score_paths(bigan_dir, list(map(str, images)), tmp_path / "here.csv", fdr=0.2, device="cpu")
    assert rows(tmp_path / "small.csv") == rows(tmp_path / "here.csv")


def test_calibrating_needs_no_torch_either(programs: Path, bigan_dir: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(bigan_dir, copied)
    write_images(tmp_path / "new", others()[:30])
    done = run(programs, "calibrate", copied, tmp_path / "new")
    assert done.returncode == 0, done.stderr
    assert run(programs, "models", "verify", copied).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "digits", "--normal", "0", "--out", "m"], "error: anomaly train needs torch"),
        (["train-many", "plan.csv", "--out", "m"], "error: anomaly train-many needs torch"),
        (["recipes", "try", "digits", "--normal", "0"], "error: anomaly recipes try needs torch"),
        (["inspect", "BIGAN", "--out", "i"], "error: anomaly inspect needs torch"),
        (["export", "BIGAN", "--out", "e"], "error: anomaly export needs torch"),
        (["models", "upgrade", "BIGAN"], "error: anomaly models upgrade needs torch"),
        (["models", "verify", "BIGAN", "--engine", "torch"], "error: scoring by torch needs torch"),
        (["models", "verify", "BIGAN", "--device", "cuda"], "error: scoring by torch needs torch"),
        (["models", "verify", "ANOGAN"], "finds latents by search, which takes gradients; scoring with it needs torch"),
        (["models", "verify", "BF16"], "scores in bf16; scoring with it needs torch"),
        (["models", "verify", "SCHEMA1"], "is of schema 1, without a graph (`anomaly models upgrade` makes one);"),
    ],
)
def test_what_needs_torch_says_so_in_one_sentence(
    programs: Path, bigan_dir: Path, anogan_dir: Path, bf16_dir: Path, arguments: list[str], says: str
) -> None:
    schema1 = ROOT / "tests" / "bundle" / "schema1" / "bigan"
    models = {"BIGAN": bigan_dir, "ANOGAN": anogan_dir, "BF16": bf16_dir, "SCHEMA1": schema1}
    done = run(programs, *[models.get(word, word) for word in arguments])
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.endswith("pip install 'anomaly[torch]'\n")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def address(programs: Path, bigan_dir: Path, tmp_path: Path) -> Iterator[str]:
    """A server of the bundle on a port that the system chose."""
    shutil.copytree(bigan_dir, tmp_path / "models" / "bigan")
    command = [str(programs / "anomaly"), "serve", "--models", str(tmp_path / "models"), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert server.stdout is not None
    try:
        yield next(found[0] for line in server.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()


def test_nothing_is_sent_to_the_makers_of_onnx_runtime(programs: Path, bigan_dir: Path, tmp_path: Path) -> None:
    """Its uploader, where it is started, begins with a file of its session in the folder of temporary files."""
    (tmp_path / "temporary").mkdir()
    command = [str(programs / "anomaly"), "models", "verify", str(bigan_dir)]
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(command, check=True, env=kept | {"TMPDIR": str(tmp_path / "temporary")})
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_server_answers(address: str, tmp_path: Path) -> None:
    (image,) = write_images(tmp_path / "in", normals()[:1])
    answer = httpx.post(f"{address}/score?heatmap=true", files={"file": image.read_bytes()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["score"] > 0
