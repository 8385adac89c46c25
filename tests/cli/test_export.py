"""`anomaly export`: what it says, and how it refuses."""

from pathlib import Path

import pytest

from anomaly import export as exporting
from anomaly.export import Exported, Runtime
from tests.cli.calls import done, refused


def test_it_says_what_was_written_and_how_it_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def export_bundle(model: Path, out: Path, runtime: Runtime) -> Exported:
        assert (model, runtime) == (Path("models/parts"), Runtime.OPENVINO)
        return Exported(out, 2_500_000, "4 images: the scores differ by up to 4e-06")

    monkeypatch.setattr(exporting, "export_bundle", export_bundle)
    out = tmp_path / "an export"
    result = done("export", "models/parts", "--format", "openvino", "--out", out)
    assert result.stdout.splitlines() == [
        f"wrote {out}, 2.5 MB. 4 images: the scores differ by up to 4e-06",
        f"`python '{out / 'predict.py'}' IMAGE_OR_FOLDER` scores; README.md says the rest",
    ]


def test_a_search_is_refused(anogan_dir: Path, tmp_path: Path) -> None:
    assert "search.steps=0" in refused("export", anogan_dir, "--out", tmp_path / "out")


def test_no_bundle_and_a_folder_that_exists_are_refused(bigan_dir: Path, tmp_path: Path) -> None:
    assert "there is no bundle" in refused("export", tmp_path / "none", "--out", tmp_path / "out")
    assert f"{tmp_path} exists" in refused("export", bigan_dir, "--out", tmp_path)


def test_a_format_that_there_is_not_is_refused_with_those_that_there_are(bigan_dir: Path, tmp_path: Path) -> None:
    said = refused("export", bigan_dir, "--out", tmp_path / "out", "--format", "tflite")
    assert "there is no export format 'tflite'; choose one of onnx, openvino" in said
