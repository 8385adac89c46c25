"""Heatmaps and masks at full size are in memory a few at a time, however many pictures there are."""

from pathlib import Path

import numpy as np
import pytest

from anomaly.data import PackedMask, Sample, open_dataset, restore_map
from anomaly.pipeline import pixel_figures
from anomaly.pipeline.evaluate import evaluate_bundle
from anomaly.pipeline.pixel_figures import read_masks
from anomaly.report import report
from tests.alive import Alive
from tests.digit_images import normals, write_images

NUM = 20


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "d"
    good = normals()[:NUM]
    mask = np.zeros_like(good[0])
    mask[2:6, :3] = 255
    write_images(root / "test" / "good", good)
    write_images(root / "test" / "bad", [np.maximum(image, mask) for image in good])
    write_images(root / "ground_truth" / "bad", [mask] * NUM)
    return root


def test_no_mask_is_kept_at_its_size(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = Alive()
    monkeypatch.setattr(Sample, "open_mask", masks.all_of(Sample.open_mask))
    read = read_masks(open_dataset(str(tree)).test())
    assert read is not None
    assert len(read.masks) == masks.num_added == 2 * NUM
    assert masks.num == 0


def test_three_pictures_at_most_are_at_full_size_while_all_are_measured(
    bigan_dir: Path, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "roc_png", lambda *_: bytes(33))
    monkeypatch.setattr(report, "render_page", lambda *_: "")
    heatmaps, masks = Alive(), Alive()
    monkeypatch.setattr(pixel_figures, "restore_map", heatmaps.all_of(restore_map))
    monkeypatch.setattr(PackedMask, "unpack", masks.all_of(PackedMask.unpack))
    metrics = evaluate_bundle(bigan_dir, str(tree), tmp_path / "report", device="cpu").metrics
    assert metrics["num_pixel_normal"] == metrics["num_pixel_anomalous"] == NUM
    assert heatmaps.num_added == 2 * 2 * NUM  # two passes
    assert heatmaps.most <= 3
    assert masks.most <= 3
