"""An exported folder keeps the region: what lies outside changes no score, and maps are 0 there."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from anomaly.export import Runtime, export_bundle
from anomaly.inference import load_detector
from tests.digit_images import normals, write_images

RESTORE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from anomaly.data.preprocess import restore_map
from anomaly.data.reader import read
from model import load_about, load_model
about = load_about()
picture = read(Path(sys.argv[2]), about.preprocess, name="image")
heatmap = restore_map(load_model()(picture.pixels[None], 0.05)[5][0], about.preprocess, picture.height, picture.width)
print((heatmap[:, 5:] == 0).all() and heatmap[:, :5].any())
"""


def run(*arguments: str | Path) -> str:
    return subprocess.run([sys.executable, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def test_what_lies_outside_changes_no_score(region_dir: Path, tmp_path: Path) -> None:
    image = normals()[0]
    outside, inside = image.copy(), image.copy()
    outside[:, 5:] = 255 - outside[:, 5:]
    inside[:, 4] = 255 - inside[:, 4]
    paths = write_images(tmp_path / "images", [image, outside, inside])
    folder = export_bundle(region_dir, tmp_path / "out", Runtime.ONNX).folder
    rows = [json.loads(line) for line in run(folder / "predict.py", *paths).splitlines()]
    assert rows[0]["score"] == rows[1]["score"] != rows[2]["score"]
    expected = load_detector(region_dir, device="cpu").score(paths).score
    np.testing.assert_allclose([row["score"] for row in rows], expected, rtol=1e-3)
    assert "The model has a region" in (folder / "README.md").read_text("utf-8")
    assert run("-c", RESTORE, folder, paths[0]).strip() == "True"
