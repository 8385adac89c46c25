"""Evaluation as a use case: fair baselines, and numbers for people."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomaly.bundle import load, save
from anomaly.errors import DataError, UsageError
from anomaly.evaluation import Evaluation, auroc, choose_examples, knn_scores, pca_scores
from anomaly.inference import load_detector
from anomaly.pipeline import evaluate
from anomaly.pipeline.evaluate import EvaluationSummary, evaluate_bundle
from anomaly.pipeline.reading import ReadingWatch
from anomaly.report import report
from tests.bundle.records import make_record
from tests.cli.calls import read_rows
from tests.digit_images import digits, normals, others, write_images
from tests.evaluation.pixel_lists import aupro, pixel_auroc


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the pictures and the page empty, which take most of the time."""
    monkeypatch.setattr(report, "roc_png", lambda *_: bytes(33))
    monkeypatch.setattr(report, "render_page", lambda *_: "")


def test_baselines_are_fitted_on_the_training_normals(bigan_dir: Path, tmp_path: Path) -> None:
    train, good, bad = digits("train", "0")[:30], normals()[:20], others()[:20]
    for place, images in {"train/good": train, "test/good": good, "test/bad": bad}.items():
        write_images(tmp_path / "d" / place, images)
    summary = evaluate_bundle(bigan_dir, str(tmp_path / "d"), tmp_path / "report", device="cpu")
    assert "AUROC" in summary.verdict[0]
    assert "baseline" in summary.verdict[-1]
    test, labels = np.concatenate([bad, good])[:, None], np.arange(40) < 20
    assert summary.metrics["baselines"] == pytest.approx(
        {"pca": auroc(pca_scores(train[:, None], test), labels), "knn": auroc(knn_scores(train[:, None], test), labels)}
    )


def test_baselines_know_no_image_that_they_are_tested_on(bigan_dir: Path, tmp_path: Path) -> None:
    """Where all training images are test images too, there is no baseline rather than a perfect one."""
    images = normals()[:10]
    for place in ("train/good", "test/good"):
        write_images(tmp_path / "d" / place, images)
    write_images(tmp_path / "d" / "test" / "bad", others()[:10])
    summary = evaluate_bundle(bigan_dir, str(tmp_path / "d"), tmp_path / "report", device="cpu")
    assert summary.metrics["baselines"] == {}


def test_the_report_has_what_the_bundle_says_of_itself(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, contents = make_record(), load(bigan_dir).contents
    manifest = contents.manifest.model_copy(update={"detectability": record})
    bundle = save(replace(contents, manifest=manifest), tmp_path / "m")
    told = []

    def render(evaluation: Evaluation, _: object) -> str:
        told.append(evaluation.model.detectability)
        return ""

    monkeypatch.setattr(report, "render_page", render)
    for place, images in {"test/good": normals()[:4], "test/bad": others()[:3]}.items():
        write_images(tmp_path / "d" / place, images)
    for model in (bundle.ref.path, bigan_dir):
        evaluate_bundle(model, str(tmp_path / "d"), tmp_path / "report", device="cpu")
    assert told == [record, None]


def test_a_watcher_is_told_of_every_image(bigan_dir: Path, tmp_path: Path) -> None:
    for place, images in {"train/good": digits("train", "0")[:5], "test/good": normals()[:4]}.items():
        write_images(tmp_path / "d" / place, images)
    write_images(tmp_path / "d" / "test" / "bad", others()[:3])
    totals: list[int] = []
    read: list[None] = []
    watch = ReadingWatch(on_reading=totals.append, on_image=lambda: read.append(None))
    evaluate_bundle(bigan_dir, str(tmp_path / "d"), tmp_path / "report", device="cpu", watch=watch)
    assert totals == [12] == [len(read)]


def test_an_image_that_goes_away_while_the_report_is_made_keeps_its_score(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = write_images(tmp_path / "d" / "test" / "good", normals()[:8])
    write_images(tmp_path / "d" / "test" / "bad", others()[:8])
    shown: list[str] = []

    def choose(*given: Any) -> dict[str, list[int]]:
        good[0].unlink(missing_ok=True)
        return choose_examples(*given)

    def render(told: Evaluation, _: object) -> str:
        shown.extend(example.path for example in told.examples if example.kind == "good")
        return ""

    monkeypatch.setattr(evaluate, "choose_examples", choose)
    monkeypatch.setattr(report, "render_page", render)
    summary = evaluate_bundle(bigan_dir, str(tmp_path / "d"), tmp_path / "report", device="cpu")
    assert summary.metrics["num_normal"] == 8
    assert set(shown) == set(map(str, good[1:]))


def test_a_sample_is_fixed_and_drawn_from_all_test_images(bigan_dir: Path, tmp_path: Path) -> None:
    def evaluated(sample: int | None) -> list[str]:
        evaluate_bundle(bigan_dir, "digits", tmp_path / "report", normal=["0"], sample=sample, device="cpu")
        return [row["path"] for row in read_rows(tmp_path / "report" / "scores.csv")]

    everything, drawn = evaluated(None), evaluated(60)
    assert drawn == evaluated(60)
    assert drawn == [path for path in everything if path in set(drawn)]
    assert 0 < len(drawn) <= 60
    assert drawn[-1] > everything[len(everything) // 2]
    assert evaluated(len(everything) + 99) == everything


@pytest.mark.parametrize(("broken", "message"), [("test", "40 test images"), ("train", "20 normal images")])
def test_it_says_which_images_cannot_be_read(broken: str, message: str, bigan_dir: Path, tmp_path: Path) -> None:
    train = digits("train", "0")
    for place, images in {"train/good": train, "test/good": normals(), "test/bad": others()}.items():
        write_images(tmp_path / "d" / place, images[:20])
    for file in (tmp_path / "d" / broken).rglob("*.png"):
        file.write_text("no image")
    with pytest.raises(DataError, match=f"^none of the {message} can be used; the first: .*png"):
        evaluate_bundle(bigan_dir, str(tmp_path / "d"), tmp_path / "report", device="cpu")


def test_a_sample_has_an_image(bigan_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one image; got 0"):
        evaluate_bundle(bigan_dir, "digits", tmp_path / "report", normal=["0"], sample=0, device="cpu")


def test_a_sample_of_one_label_is_refused_before_anything_is_read(bigan_dir: Path, tmp_path: Path) -> None:
    read: list[int] = []
    with pytest.raises(UsageError, match=r"sample of 5 of the 355 test images are anomalous, .* larger sample"):
        evaluate_bundle(
            bigan_dir,
            "digits",
            tmp_path / "report",
            normal=["0"],
            sample=5,
            device="cpu",
            watch=ReadingWatch(on_reading=read.append),
        )
    assert not read


def test_heatmaps_meet_their_masks_at_each_images_own_size(bigan_dir: Path, tmp_path: Path) -> None:
    root = tmp_path / "d"
    mask = np.zeros((40, 24), np.uint8)
    mask[5:25, :9] = 255
    good = [np.kron(image, np.ones((5, 3), np.uint8)) for image in normals()[:8]]
    bad = [np.maximum(image, mask) for image in good]
    write_images(root / "train" / "good", good[:4])
    paths = write_images(root / "test" / "bad", bad) + write_images(root / "test" / "good", good)
    write_images(root / "ground_truth" / "bad", [mask] * 8)
    metrics = evaluate_bundle(bigan_dir, str(root), tmp_path / "report", device="cpu").metrics
    heatmaps = load_detector(bigan_dir, device="cpu").score(paths).heatmap
    masks = [mask > 0] * 8 + [np.zeros((40, 24), np.bool_)] * 8
    assert metrics["pixel_auroc"] == pytest.approx(pixel_auroc(heatmaps, masks))
    assert metrics["aupro"] == pytest.approx(aupro(heatmaps, masks))


def test_numbers_are_the_metrics_that_are_one_number() -> None:
    metrics: dict[str, object] = {
        "model": "m/1",
        "auroc": 0.5,
        "num_normal": 3,
        "threshold": None,
        "baselines": {"pca": 0.25},
        "failures": [{"path": "a"}],
    }
    numbers = EvaluationSummary(metrics, verdict=[], num_seen=0).numbers()
    assert numbers == {"auroc": 0.5, "num_normal": 3, "baselines pca": 0.25}
