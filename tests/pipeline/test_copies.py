"""Test images with the same pixels: copies of one label, and contradictions."""

from pathlib import Path

import numpy as np
import pytest

from anomaly.data import Label, Sample
from anomaly.pipeline.copies import contradictions, copies
from anomaly.pipeline.evaluate import evaluate_bundle
from anomaly.report import report
from tests.digit_images import digits, normals, others, write_images

LABELS: list[Label] = ["normal", "anomalous", "normal", "normal", "anomalous", "anomalous"]
SAMPLES = [Sample(f"{row}.png", "test", label, "") for row, label in enumerate(LABELS)]
KEYS = np.array([7, 8, 7, 9, 7, 9], np.uint64)
UNSEEN = np.zeros(6, np.bool_)


def test_copies_are_of_one_label() -> None:
    assert copies(SAMPLES, KEYS).tolist() == [False, False, True, False, False, False]


def test_a_normal_and_an_anomalous_image_of_the_same_pixels_are_named() -> None:
    (told,) = contradictions(SAMPLES, KEYS, UNSEEN)
    assert told.startswith(
        "2 anomalous test images have the same pixels as a normal one, as the model sees them, such as 0.png (normal) "
        "and 4.png (anomalous): no score"
    )
    assert contradictions(SAMPLES[:4], KEYS[:4], UNSEEN) == []
    assert contradictions(SAMPLES, np.arange(6, dtype=np.uint64), UNSEEN) == []


def test_an_anomalous_image_that_made_the_model_is_named() -> None:
    seen = np.array([True, True, False, False, False, False])
    (told,) = contradictions(SAMPLES[:4], KEYS[:4], seen[:4])
    assert told.startswith(
        "1 anomalous test image has the same pixels as a normal image that made the model, such as 1.png: left out. "
    )


def test_an_evaluation_says_it(bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "roc_png", lambda *_: bytes(33))
    monkeypatch.setattr(report, "render_page", lambda *_: "")
    good, bad = tmp_path / "d" / "test" / "good", tmp_path / "d" / "test" / "bad"
    write_images(good, normals()[:20])
    write_images(bad, np.concatenate([others()[:10], normals()[4:5], digits("train", "0")[:1]]))
    summary = evaluate_bundle(bigan_dir, str(tmp_path / "d"), tmp_path / "report", device="cpu")
    pair, known = summary.remarks
    assert pair.startswith(
        "1 anomalous test image has the same pixels as a normal one, as the model sees them, such as "
    )
    assert f"{sorted(good.iterdir())[4]} (normal) and {sorted(bad.iterdir())[10]} (anomalous): no score" in pair
    assert f"made the model, such as {sorted(bad.iterdir())[11]}: left out" in known
    assert summary.num_seen == 1
