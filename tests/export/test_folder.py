"""What an exported folder holds, and when none is written."""

import json
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

from anomaly import extras
from anomaly.bundle import load
from anomaly.calibration import Calibration
from anomaly.errors import ExportError, StorageError, UsageError
from anomaly.export import Runtime, export_bundle, folder
from anomaly.export.copies import copied_files
from anomaly.export.readme import readme_of
from anomaly.inference.onnx_export import deployed_onnx

COMMON = {"predict.py", "model.py", "check.py", "model.json", "golden.npz", "requirements.txt", "README.md", "LICENSE"}


@pytest.mark.parametrize(
    ("runtime", "model"), [("onnx", {"model.onnx"}), ("openvino", {"model.xml", "model.bin"})], ids=["onnx", "openvino"]
)
def test_the_files_are_these(runtime: str, model: set[str], request: pytest.FixtureRequest) -> None:
    out: Path = request.getfixturevalue(f"{runtime}_folder")
    found = {file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()}
    assert found == COMMON | model | set(copied_files(folder.PROGRAMS / "predict.py", folder.PROGRAMS / "model.py"))
    for program in ("predict.py", "model.py", "check.py"):
        assert (out / program).read_bytes() == (folder.PROGRAMS / program).read_bytes()
    assert (out / "LICENSE").read_text("utf-8") == distribution("anomaly").read_text("licenses/LICENSE")
    assert list(out.parent.iterdir()) == [out]


def test_the_program_is_short() -> None:
    assert len((folder.PROGRAMS / "predict.py").read_text("utf-8").splitlines()) <= 60


def test_parameters_and_goldens_are_the_bundle_s(colour_dir: Path, onnx_folder: Path) -> None:
    bundle = load(colour_dir)
    assert json.loads((onnx_folder / "model.json").read_text("utf-8")) == {
        "model": "colour",
        "version": 1,
        "digest": bundle.digest,
        "preprocess": {"size": 16, "channels": 3, "resize": "crop", "scale": "auto", "range": 12, "region": None},
        "terms": bundle.manifest.terms,
        "calibration_sizes": {key: [8, 8] for key in ("smallest", "largest", "narrowest", "widest")},
    }
    with np.load(onnx_folder / "golden.npz") as golden:
        np.testing.assert_array_equal(golden["pixels"], bundle.contents.golden.pixels)
        np.testing.assert_array_equal(golden["scores"], bundle.contents.golden.scores)
        assert (golden["allowed"] <= 1e-4 * (golden["scores"] + bundle.contents.calibration.scores.std()) * 1.001).all()


def test_the_readme_tells_what_goes_in_and_comes_out(colour_dir: Path, onnx_folder: Path) -> None:
    text = (onnx_folder / "README.md").read_text("utf-8")
    bundle = load(colour_dir)
    for said in (
        "# colour, version 1",
        bundle.digest,
        "python predict.py",
        "| `pixels` | (n, 3, 16, 16) uint8 | red, green, blue",
        "| `heatmap` | (n, 16, 16) float32 |",
        ", ".join(bundle.manifest.terms),
        "pip install simplejpeg",
    ):
        assert said in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 120


@pytest.mark.parametrize(
    ("num", "said"), [(7, "1/8, which is 0.125"), (19, "1/20, which is 0.05"), (29, "1/30, about 0.0333")]
)
def test_the_readme_tells_below_which_rate_there_is_no_threshold(bigan_dir: Path, num: int, said: str) -> None:
    bundle = load(bigan_dir)
    calibration = Calibration.fit(np.arange(float(num)))
    smallest = calibration.smallest_p
    assert calibration.threshold(smallest) == num - 1 == calibration.scores[-1]
    assert calibration.threshold(np.nextafter(smallest, 0)) is None
    assert calibration.p_value(np.inf) == smallest
    text = readme_of(replace(bundle, contents=replace(bundle.contents, calibration=calibration)), Runtime.ONNX, 1e-4)
    assert f"how seldom a normal image scores this high: from {said} to 1 |" in text
    assert f"0.05 unless given; null below {said} |" in text


@pytest.mark.parametrize("is_file", [False, True])
def test_a_folder_that_exists_is_refused_by_name(bigan_dir: Path, tmp_path: Path, is_file: bool) -> None:
    out = tmp_path / "out"
    if is_file:
        out.touch()
    else:
        out.mkdir()
    with pytest.raises(UsageError, match=rf"{out} exists"):
        export_bundle(bigan_dir, out, Runtime.ONNX)


def test_a_search_is_refused_and_leaves_nothing(anogan_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"training\.method=bigan.*search\.steps=0"):
        export_bundle(anogan_dir, tmp_path / "out", Runtime.ONNX)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("runtime", "library"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_library_is_named_with_its_extra(
    runtime: str, library: str, bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_module(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(extras, "import_module", import_module)
    with pytest.raises(
        UsageError, match=rf"exporting to {runtime} needs {library}: pip install 'anomaly\[{runtime}\]'"
    ):
        export_bundle(bigan_dir, tmp_path / "out", Runtime(runtime))
    assert list(tmp_path.iterdir()) == []


def test_a_failing_writer_of_openvino_is_one_sentence(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk it raises no OSError."""

    def save_model(model: object, path: Path, *, compress_to_fp16: bool) -> None:
        path.write_bytes(b"a part")
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr("openvino.save_model", save_model)
    with pytest.raises(StorageError, match=rf"into {tmp_path}: OpenVINO could not write.*as where the disk is full"):
        export_bundle(bigan_dir, tmp_path / "out", Runtime.OPENVINO)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_of_schema_1_is_exported(tmp_path: Path) -> None:
    exported = export_bundle(Path(__file__).parents[1] / "bundle/schema1/bigan", tmp_path / "out", Runtime.ONNX)
    assert "as they were when the model was exported" in exported.checked


def test_a_model_that_scores_differently_is_not_kept(
    bigan_dir: Path, patched_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another bundle's graph in the place of its own."""
    other = load(patched_dir)
    monkeypatch.setattr(folder, "deployed_onnx", lambda bundle: deployed_onnx(other))
    with pytest.raises(
        ExportError,
        match=r"does not score as the bundle does.*differ by up to.* \(here 60 of 60 steps, \d+ images to select\)",
    ):
        export_bundle(bigan_dir, tmp_path / "out", Runtime.ONNX)
    assert list(tmp_path.iterdir()) == []
