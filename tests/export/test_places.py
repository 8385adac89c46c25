"""Exports of models without G: pictures of any shape, one by one."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from anomaly.bundle import load
from anomaly.config import Resize
from anomaly.config.places import NOTICE
from anomaly.data import preprocess
from anomaly.export import Runtime, export_bundle
from anomaly.export.readme import readme_of
from anomaly.inference import load_detector


def test_pictures_of_two_shapes_score_as_the_bundle_scores_them(
    whole_places_dir: Path, drawn_parts: Path, tmp_path: Path
) -> None:
    folder = export_bundle(whole_places_dir, tmp_path / "out", Runtime.ONNX).folder
    files = sorted(drawn_parts.iterdir())[:4]
    command = [sys.executable, "-B", str(folder / "predict.py"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    expected = load_detector(whole_places_dir, device="cpu").score(files)
    np.testing.assert_allclose([row["score"] for row in rows], expected.score, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose([row["p_value"] for row in rows], expected.p_value)
    assert [row["warning"] for row in rows] == [None] * 4
    assert NOTICE in (folder / "NOTICE").read_text()
    assert json.loads((folder / "model.json").read_text())["preprocess"]["resize"] == "whole"
    assert "of any height h and width w that are multiples of" in (folder / "README.md").read_text()


def test_a_picture_of_a_size_that_did_not_calibrate_is_warned_of(whole_places_dir: Path, tmp_path: Path) -> None:
    folder = export_bundle(whole_places_dir, tmp_path / "out", Runtime.ONNX).folder
    sizes = [(96, 80), (400, 400), (8, 8)]
    files = [tmp_path / f"{height}.png" for height, _ in sizes]
    for file, size in zip(files, sizes, strict=True):
        Image.fromarray(np.full(size, 90, np.uint8)).save(file)
    command = [sys.executable, "-B", str(folder / "predict.py"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = load_detector(whole_places_dir, device="cpu").score(files).warnings
    assert [warning is None for warning in expected] == [True, False, False]
    assert [json.loads(line)["warning"] for line in done.stdout.splitlines()] == expected
    assert "| `warning` |" in (folder / "README.md").read_text()


def test_a_picture_is_shrunk_by_the_scale_of_the_model(
    whole_places_dir: Path, drawn_parts: Path, tmp_path: Path
) -> None:
    folder = export_bundle(whole_places_dir, tmp_path / "out", Runtime.ONNX).folder
    about = json.loads((folder / "model.json").read_text())
    about["preprocess"]["scale"] = 0.5
    (folder / "model.json").write_text(json.dumps(about))
    files = sorted(drawn_parts.iterdir())[:2]
    command = [sys.executable, "-B", str(folder / "predict.py"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    detector = load_detector(whole_places_dir, device="cpu")
    halved = detector.preprocess.model_copy(update={"scale": 0.5})
    expected = detector.evidence([preprocess(Image.open(file), halved) for file in files]).score
    scores = [json.loads(line)["score"] for line in done.stdout.splitlines()]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_the_readme_of_a_model_of_one_size_names_that_size(whole_places_dir: Path) -> None:
    bundle = load(whole_places_dir)
    recipe = bundle.manifest.recipe
    square = recipe.preprocess.model_copy(update={"resize": Resize.PAD, "size": 256})
    manifest = bundle.manifest.model_copy(update={"recipe": recipe.model_copy(update={"preprocess": square})})
    said = readme_of(replace(bundle, contents=replace(bundle.contents, manifest=manifest)), Runtime.ONNX, 1e-4)
    assert "It takes one picture at a time, of 256 × 256 pixels." in said
    assert "a megapixel" not in said
