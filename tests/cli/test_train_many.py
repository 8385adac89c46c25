"""`anomaly train-many`: each row a model, a failing one alone, and the same command again does what is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import Result

from anomaly.bundle import load
from benchmarks.ray_clusters import ray_cluster
from tests.cli.calls import call, done, refused

pytestmark = pytest.mark.long

TINY = "network.width=4 network.latent_dim=2 training.batch_size=8"
NO_GRAPH = " training.method=anogan search.steps=1"  # whose making takes seconds in each worker
COLUMNS = "data,name,recipe,normal,steps,set\n"
PROGRAM = [sys.executable, "-c", "from anomaly.cli import app; app()"]


def row(name: str, steps: int = 10, data: str = "digits", normal: str = "0", more: str = "") -> str:
    return f"{data},{name},digits,{normal},{steps},{TINY}{more}\n"


def plan(folder: Path, *rows: str) -> Path:
    path = folder / "plan.csv"
    path.write_text(COLUMNS + "".join(rows))
    return path


def cells(text: str) -> dict[str, list[str]]:
    """What, version and reason of each name."""
    lines = [line.split() for line in text.splitlines()]
    return {line[1]: line[3:] for line in lines if line[0].isdecimal()}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The folder of three rows' models, and what the command that trained them said. One row fails."""
    folder = tmp_path_factory.mktemp("first")
    rows = (row("zeros"), row("none", data="not-there"), row("ones", normal="1", more=NO_GRAPH))
    options = ("--out", folder / "models", "--workers", "2", "--device", "cpu")
    return folder / "models", call("train-many", plan(folder, *rows), *options)


def test_each_row_a_model_and_a_failing_one_alone(first: tuple[Path, Result]) -> None:
    models, told = first
    assert told.exit_code == 1
    table = cells(told.stdout)
    assert table["zeros"][:2] == table["ones"][:2] == ["trained", "1"]
    assert table["none"][0] == "failed"
    (why,) = (line for line in told.stdout.splitlines() if line.startswith("line 3, none, has failed: "))
    assert str(models.parent / "not-there") in why
    zeros = load(models / "zeros")
    assert zeros.manifest.num_steps == 10


def test_a_row_without_a_name_is_told_by_its_line(tmp_path: Path) -> None:
    told = call("train-many", plan(tmp_path, row("")), "--out", tmp_path / "models", "--device", "cpu")
    assert told.exit_code == 1
    (why,) = (line for line in told.stdout.splitlines() if "has failed" in line)
    assert why == "line 2 has failed: name is empty; each row needs data and name"


def test_what_is_there_stays_and_more_steps_go_on_from_the_last_one(first: tuple[Path, Result], tmp_path: Path) -> None:
    models = first[0]
    other = plan(tmp_path, row("zeros"), row("ones", steps=20, normal="1", more=NO_GRAPH))
    again = done("train-many", other, "--out", models, "--device", "cpu")
    table = cells(again.stdout)
    assert table["zeros"][:3] == ["was", "there", "1"]
    assert table["ones"][:2] == ["resumed", "2"]
    assert load(models / "ones").manifest.num_steps == 20


def test_a_version_is_what_anomaly_train_makes(first: tuple[Path, Result], tmp_path: Path) -> None:
    """By the command that it records."""
    models = first[0]
    bundle = load(models / "zeros")
    words = bundle.manifest.command.split()
    assert words[:5] == ["anomaly", "train", "digits", "--out", str(models / "zeros")]
    done(*words[1:], "--out", tmp_path / "again", "--device", "cpu")
    weights = [
        (version / "weights.safetensors").read_bytes() for version in (bundle.ref.path, tmp_path / "again" / "1")
    ]
    assert weights[0] == weights[1]


def test_what_was_killed_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """Ctrl-C at the first model that has ended; its training's checkpoint is kept, the others' too."""
    path = plan(tmp_path, row("zeros", more=NO_GRAPH), row("long", steps=1_000_000))
    words = ["train-many", str(path), "--out", str(tmp_path / "models"), "--workers", "1", "--device", "cpu"]
    with subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "1 of 2: zeros trained\n"
        until = time.monotonic() + 100
        while not list(tmp_path.glob("models/long/.training/run-*/pixels.u8")) and time.monotonic() < until:
            time.sleep(0.2)
        os.killpg(running.pid, signal.SIGINT)
        running.communicate(timeout=100)
    assert running.returncode in (1, 130)
    assert "was there" in done("train-many", plan(tmp_path, row("zeros", more=NO_GRAPH)), *words[2:]).stdout


def test_on_a_ray_cluster(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    path = plan(tmp_path, row("zeros"), row("none", data="not-there"), row("ones", normal="1", more=NO_GRAPH))
    words = ["train-many", str(path), "--out", str(tmp_path / "models"), "--device", "cpu"]
    with ray_cluster(1, 1) as cluster:
        ran = subprocess.run(
            [*PROGRAM, *words, "--ray", cluster.address], capture_output=True, text=True, timeout=250, check=False
        )
    assert ran.returncode == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    assert {name: found[0] for name, found in cells(ran.stdout).items()} == {
        "zeros": "trained",
        "none": "failed",
        "ones": "trained",
    }
    assert load(tmp_path / "models" / "ones").manifest.num_steps == 10


def test_what_cannot_be_begun_is_one_sentence(tmp_path: Path) -> None:
    path = plan(tmp_path, row("zeros"))
    assert "no Ray cluster answers at 127.0.0.1:1" in refused(
        "train-many", path, "--out", tmp_path / "models", "--ray", "127.0.0.1:1"
    )
    assert "cannot be read" in refused("train-many", tmp_path / "none.csv", "--out", tmp_path / "models")
