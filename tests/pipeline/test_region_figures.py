"""A model with a region is measured inside of it, and its report shows the outline."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from anomaly.pipeline.evaluate import evaluate_bundle
from tests.cli.calls import TINY, done
from tests.digit_images import write_images

SIDE = 24
INSIDE = np.zeros((SIDE, SIDE), np.bool_)
INSIDE[:, :12] = True


def test_pixel_figures_count_the_inside_only(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = np.clip(120 + rng.normal(0, 10, (66, SIDE, SIDE)), 0, 255).astype(np.uint8)
    defects = np.zeros((SIDE, SIDE), np.bool_), np.zeros((SIDE, SIDE), np.bool_)
    defects[0][4:9, 3:8] = True
    defects[1][4:9, 16:20] = True
    for i, defect in enumerate(defects):
        pictures[60 + i][defect] = 255
    data = tmp_path / "data"
    write_images(data / "train" / "good", pictures[:50])
    write_images(data / "test" / "good", pictures[50:60])
    write_images(data / "test" / "spot", pictures[60:62])
    write_images(data / "ground_truth" / "spot", np.stack(defects).astype(np.uint8) * 255)
    Image.fromarray(INSIDE).save(tmp_path / "mask.png")
    done("train", data, "--region", tmp_path / "mask.png", "--out", tmp_path / "m", *TINY)

    summary = evaluate_bundle(tmp_path / "m", str(data), tmp_path / "report", device="cpu")
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text("utf-8"))
    assert (metrics["pixel_region"], metrics["num_outside_region"]) == (0.5, 1)
    assert (metrics["num_pixel_anomalous"], metrics["num_pixel_normal"]) == (1, 11)
    assert metrics["pixel_auroc"] > 0.5  # in whole pictures the other defect, which nobody sees, would be missed
    assert any("Only the region counts, 50" in sentence for sentence in summary.verdict)
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "50% of each picture is inside the region" in page
    assert "1 anomalous image has its defects outside" in page
