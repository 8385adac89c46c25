"""On a machine where nothing of ours is installed an exported folder scores as `anomaly score` does, and refuses alike.

Two environments are made with nothing but the packages of the folders' requirements.txt (and tifffile).
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomaly.bundle import load
from anomaly.data import read
from anomaly.pipeline.score import score_paths
from tests.bad_files import make_bad_files
from tests.export.conftest import run_alone
from tests.field.pictures import cases

pytestmark = pytest.mark.timeout(1200)
ALPHAS = (0.05, 1e-6)
ROW = ["path", "score", "p_value", "is_anomalous", "threshold", "terms", "warning", "remarks", "error"]
Row = dict[str, Any]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of file that the tests of formats have, whole and damaged: more than 200."""
    folder = tmp_path_factory.mktemp("pictures")
    make_bad_files(folder)
    for number, case in enumerate(cases()):
        (folder / f"{number:03d}-{case.row.section.lower()}.png").write_bytes(case.data)
    assert len(list(folder.iterdir())) > 200
    return folder


def rows_of(text: str) -> list[Row]:
    return [json.loads(line) for line in text.splitlines()]


def ours(model: Path, pictures: Path, alpha: float, out: Path) -> list[Row]:
    score_paths(model, [str(pictures)], out, alpha=alpha, device="cpu")
    return rows_of(out.read_text("utf-8"))


def check_alike(found: list[Row], expected: list[Row], deviation: float, terms: list[str]) -> None:
    assert [row["path"] for row in found] == [row["path"] for row in expected]
    assert [row["error"] is None for row in found] == [row["error"] is None for row in expected]
    num_scored = sum(row["error"] is None for row in found)
    assert num_scored > 100
    assert len(found) - num_scored > 50
    for row, right in zip(found, expected, strict=True):
        assert list(row) == ROW
        if row["error"] is not None:
            assert row["error"].startswith(row["path"])
            assert {row[name] for name in list(row)[1:-1]} == {None}
            continue
        allowed = 1e-4 * (abs(right["score"]) + deviation)
        assert abs(row["score"] - right["score"]) <= allowed, row["path"]
        assert row["threshold"] == (None if right["threshold"] is None else pytest.approx(right["threshold"], rel=1e-6))
        assert row["terms"] == pytest.approx({name: right[name] for name in terms}, rel=1e-3, abs=1e-3)
        if right["threshold"] is None:
            assert row["is_anomalous"] is right["is_anomalous"] is None
        elif abs(right["score"] - right["threshold"]) > allowed:
            assert row["is_anomalous"] is right["is_anomalous"]


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_200_files_of_all_formats(
    runtime: str, colour_dir: Path, bigan_dir: Path, pictures: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = colour_dir if runtime == "onnx" else bigan_dir
    folder: Path = request.getfixturevalue(f"{runtime}_folder")
    python: Path = request.getfixturevalue(f"{runtime}_python")
    contents = load(model).contents
    for alpha in ALPHAS:
        done = run_alone(python, folder / "predict.py", "--alpha", str(alpha), pictures)
        assert (done.returncode, done.stderr) == (1, "")
        expected = ours(model, pictures, alpha, tmp_path / "ours.jsonl")
        deviation = float(np.std(contents.calibration.scores))
        check_alike(found := rows_of(done.stdout), expected, deviation, contents.manifest.terms)
        scored = [row for row in found if row["error"] is None]
        parameters = contents.manifest.recipe.preprocess
        remarks = [sorted(read(Path(row["path"]), parameters, name="x").remarks) for row in scored]
        assert [row["remarks"] for row in scored] == remarks
        assert {len(each) for each in remarks} >= {0, 1}
    assert run_alone(python, folder / "check.py").returncode == 0


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_the_environment_has_nothing_of_ours(runtime: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    (tmp_path / "look.py").write_text(
        "from importlib.util import find_spec\n"
        "names = ('anomaly', 'torch', 'pydantic', 'scipy', 'sklearn', 'simplejpeg', 'safetensors', 'numpy', 'PIL')\n"
        "print([name for name in names if find_spec(name)])\n"
    )
    done = run_alone(request.getfixturevalue(f"{runtime}_python"), tmp_path / "look.py")
    assert done.stdout.strip() == "['numpy', 'PIL']"


def test_a_user_s_mistakes_are_sentences(onnx_folder: Path, onnx_python: Path, tmp_path: Path) -> None:
    program = onnx_folder / "predict.py"
    for arguments in (
        [],
        ["--alpha", "0", "x"],
        ["--alpha", "nan", "x"],
        ["--alpha", "a", "x"],
        ["--no", "x"],
        ["x", ""],
    ):
        done = run_alone(onnx_python, program, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "error: " in done.stderr
        assert "Traceback" not in done.stderr
    (tmp_path / "empty").mkdir()
    done = run_alone(onnx_python, program, tmp_path / "empty", tmp_path / "missing.png")
    assert (done.returncode, done.stderr) == (1, "")
    folder, missing = rows_of(done.stdout)
    assert "is a folder that holds no images" in folder["error"]
    assert "does not exist" in missing["error"]


def test_a_missing_runtime_is_a_sentence(openvino_folder: Path, onnx_python: Path) -> None:
    done = run_alone(onnx_python, openvino_folder / "predict.py", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No module named 'openvino'; this program needs Python 3.11 or later" in done.stderr
    assert f'pip install -r "{openvino_folder / "requirements.txt"}"' in done.stderr


def test_a_python_that_ignores_the_program_s_folder_finds_the_reader(
    onnx_folder: Path, onnx_python: Path, pictures: Path
) -> None:
    image = next(path for path in sorted(pictures.iterdir()) if path.name.startswith("000-"))
    for program, arguments in (("predict.py", [image]), ("check.py", [])):
        command = [str(onnx_python), "-I", "-B", str(onnx_folder / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_away_ends_it_quietly(onnx_folder: Path, onnx_python: Path, pictures: Path) -> None:
    command = [str(onnx_python), "-B", str(onnx_folder / "predict.py"), str(pictures)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert json.loads(program.stdout.readline())["path"]  # it comes before the rest is scored
        program.stdout.close()
        said = program.stderr.read()
    assert (program.returncode, said) == (2, "")


@pytest.mark.parametrize("name", ["predict.py", "check.py"])
def test_an_output_that_cannot_be_written_is_not_a_finding(
    name: str, onnx_folder: Path, onnx_python: Path, pictures: Path
) -> None:
    """1 would mean that a picture has no score, or that this machine scores differently."""
    given = [str(pictures)] if name == "predict.py" else []
    command = [str(onnx_python), "-B", str(onnx_folder / name), *given]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    told = f"{name} has stopped: OSError(28, 'No space left on device')\n"
    assert (done.returncode, done.stderr) == (2, told)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_missing_model_is_a_sentence(runtime: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    shutil.copytree(request.getfixturevalue(f"{runtime}_folder"), tmp_path, dirs_exist_ok=True)
    (tmp_path / ("model.onnx" if runtime == "onnx" else "model.bin")).unlink()
    done = run_alone(request.getfixturevalue(f"{runtime}_python"), tmp_path / "predict.py", "x.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: the model cannot be loaded. Copy the whole folder again." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_the_readme_s_example_scores_as_predict_does(
    runtime: str, pictures: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(f"{runtime}_folder")
    python: Path = request.getfixturevalue(f"{runtime}_python")
    image = next(path for path in sorted(pictures.iterdir()) if path.name.startswith("000-"))
    example = (folder / "README.md").read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    assert example.count('"IMAGE"') == 2
    shows = "print(score.item(), heatmap.shape, os.environ['ORT_DISABLE_TELEMETRY'])"
    program = f"import os\n{example.replace('IMAGE', str(image))}\n{shows}\n"
    done = subprocess.run([str(python), "-B", "-c", program], capture_output=True, text=True, check=False, cwd=folder)
    (row,) = rows_of(run_alone(python, folder / "predict.py", image).stdout)
    size = json.loads((folder / "model.json").read_text("utf-8"))["preprocess"]["size"]
    assert done.stdout == f"{row['score']} (1, {size}, {size}) 1\n"


def test_other_weights_are_noticed(openvino_folder: Path, openvino_python: Path, tmp_path: Path) -> None:
    shutil.copytree(openvino_folder, tmp_path, dirs_exist_ok=True)
    weights = np.fromfile(tmp_path / "model.bin", np.uint8)
    weights[len(weights) // 2 :][::64] ^= 0x10
    weights.tofile(tmp_path / "model.bin")
    assert run_alone(openvino_python, tmp_path / "check.py").returncode == 1
