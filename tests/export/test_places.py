"""Exports of models without G: pictures of any shape, one by one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from anomaly.config.places import NOTICE
from anomaly.export import Runtime, export_bundle
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
    assert NOTICE in (folder / "NOTICE").read_text()
    assert json.loads((folder / "model.json").read_text())["preprocess"]["resize"] == "whole"
