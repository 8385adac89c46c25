"""A model of a part that lies a little differently in each picture: found out by itself, and the same everywhere."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from anomaly.bundle import load
from anomaly.config import Place
from anomaly.export import Runtime, export_bundle
from anomaly.inference import load_detector
from tests.turned_parts import draw_part


def spoilt(number: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A part with a scratch of 2 × 8 pixels that differs by 60 grey levels from what lies there, and where it is."""
    picture = draw_part(number).pixels[0].copy()
    row, column = np.random.default_rng(number).integers((24, 24), (112, 160))
    scratched = picture[row : row + 2, column : column + 8]
    scratched[:] = np.where(scratched < 128, scratched + 60, scratched - 60)
    return picture, (int(row), int(column))


def test_parts_that_lie_alike_are_aligned_by_themselves(aligned_dir: Path) -> None:
    features = load(aligned_dir).manifest.recipe.features
    assert features.places is Place.ALIGNED


def test_a_scratch_of_two_pixels_is_found_where_it_is(aligned_dir: Path) -> None:
    detector = load_detector(aligned_dir, device="cpu")
    normal = detector.score([draw_part(number).pixels[0] for number in range(100, 124)])
    pictures, places = zip(*map(spoilt, range(100, 124)), strict=True)
    found = detector.score(list(pictures))
    assert roc_auc_score([0] * 24 + [1] * 24, [*normal.score, *found.score]) > 0.9
    is_near = [
        np.hypot(*np.subtract(np.unravel_index(heatmap.argmax(), heatmap.shape), (row, column + 4))) < 12
        for heatmap, (row, column) in zip(found.heatmap, places, strict=True)
    ]
    assert sum(is_near) >= 21


def test_torch_and_onnx_runtime_align_alike(aligned_dir: Path) -> None:
    pictures = [draw_part(number).pixels[0] for number in range(100, 104)]
    first, second = (load_detector(aligned_dir, device="cpu", engine=name) for name in ("torch", "onnxruntime"))
    np.testing.assert_allclose(first.score(pictures).score, second.score(pictures).score, rtol=1e-4, atol=1e-4)


def test_an_exported_model_aligns_too(aligned_dir: Path, tmp_path: Path) -> None:
    folder = export_bundle(aligned_dir, tmp_path / "out", Runtime.ONNX).folder
    for number in range(100, 103):
        Image.fromarray(draw_part(number).pixels[0]).save(tmp_path / f"{number}.png")
    files = sorted(tmp_path.glob("*.png"))
    command = [sys.executable, "-B", str(folder / "predict.py"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line)["score"] for line in done.stdout.splitlines()]
    np.testing.assert_allclose(rows, load_detector(aligned_dir, device="cpu").score(files).score, rtol=1e-4, atol=1e-4)
    assert "| `pose` | (2, 3) float32" in (folder / "README.md").read_text()
