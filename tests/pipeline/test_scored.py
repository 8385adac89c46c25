"""Images are scored and mapped by one pass, and the examples of a report are made one at a time."""

from pathlib import Path

import numpy as np
import pytest

from anomaly.data import Limits, open_dataset, preprocess, ragged, to_array
from anomaly.evaluation import Evaluation
from anomaly.inference import load_detector
from anomaly.pipeline import scored
from anomaly.pipeline.evaluate import evaluate_bundle
from anomaly.pipeline.scored import score_images
from anomaly.report import report
from tests.alive import Alive
from tests.digit_images import normals, others, write_images


def test_one_example_is_in_memory_while_the_next_is_made(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "d" / "test" / "good", normals()[:20])
    write_images(tmp_path / "d" / "test" / "bad", others()[:20])
    images = Alive()
    shown: list[tuple[str, str]] = []

    def render(evaluation: Evaluation, _: object) -> str:
        shown.extend((example.group, example.path) for example in evaluation.examples)
        assert shown == [(example.group, example.path) for example in evaluation.examples]  # the same each time
        return ""

    monkeypatch.setattr(scored, "to_array", images.all_of(to_array))
    monkeypatch.setattr(report, "roc_png", lambda *_: bytes(33))
    monkeypatch.setattr(report, "render_page", render)
    evaluate_bundle(bigan_dir, str(tmp_path / "d"), tmp_path / "report", device="cpu")
    assert len(shown) == 24
    assert images.num_added == 48
    assert images.most <= 2


def test_with_masks_the_heatmaps_are_of_the_pass_that_scores(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [*normals()[:7], *others()[:5]]
    write_images(tmp_path / "test" / "good", images[:7])
    write_images(tmp_path / "test" / "bad", images[7:])
    write_images(tmp_path / "ground_truth" / "bad", [np.full_like(images[0], 255)] * 4)  # of one there is none
    samples = open_dataset(str(tmp_path)).test()
    detector = load_detector(bigan_dir, device="cpu")
    pixels = np.stack([preprocess(sample.open(limits=Limits()), detector.preprocess) for sample in samples])
    evidence = detector.evidence(pixels)
    expected = detector.explain(pixels, evidence.z_hat).heatmap
    monkeypatch.setattr(ragged, "chunk_size", lambda _: 5)
    monkeypatch.setattr(type(detector.engine), "explain", None)
    labels = np.array([sample.label == "anomalous" for sample in samples])
    found = score_images(detector, samples, pixels, labels, Limits())
    np.testing.assert_allclose(found.evidence.score, evidence.score, rtol=1e-5)
    assert found.masks is not None
    assert found.heatmaps.keys() == found.masks.masks.keys()
    assert len(found.heatmaps) == 11
    for row, heatmap in found.heatmaps.items():
        np.testing.assert_allclose(heatmap, expected[row], rtol=1e-4, atol=1e-6)
