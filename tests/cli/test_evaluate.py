"""`anomaly evaluate`: metrics and a report, measured on images the model has never seen."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from anomaly.inference import load_detector
from anomaly.pipeline.evaluate import evaluate_bundle
from anomaly.report import report
from tests.cli.calls import call, done, read_rows, refused
from tests.digit_images import Pixels, digits, normals, others, write_images

FILES = {"metrics.json", "scores.csv", "roc.png", "report.html"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """MVTec's layout: 20 new normals and 20 defects to test on, a mask for each defect."""
    root = tmp_path / "tree"
    write_images(root / "train" / "good", digits("train", "0")[:30])
    write_images(root / "test" / "good", normals()[:20])
    write_images(root / "test" / "spot", [spot(image) for image in normals()[:20]])
    write_images(root / "ground_truth" / "spot", [spot(np.zeros((8, 8), np.uint8))] * 20)
    return root


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the picture blank and the page empty, which take most of the time."""
    monkeypatch.setattr(report, "roc_png", lambda *_: bytes(33))
    monkeypatch.setattr(report, "render_page", lambda *_: "")


def spot(image: Pixels) -> Pixels:
    """The image with a white defect on its left side."""
    defect = image.copy()
    defect[1:5, :3] = 255
    return defect


def read_metrics(report: Path) -> dict[str, float]:
    metrics: dict[str, float] = json.loads((report / "metrics.json").read_text())
    return metrics


def test_a_tree_with_masks(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    result = done("evaluate", bigan_dir, tree, "--out", tmp_path / "report", "--device", "cpu")
    assert {path.name for path in (tmp_path / "report").iterdir()} == FILES
    metrics = read_metrics(tmp_path / "report")
    wanted = "auroc auroc_ci95 average_precision fpr_at_95_tpr threshold alpha fpr_at_threshold tpr_at_threshold"
    wanted += " num_normal num_anomalous baselines pixel_auroc aupro"
    assert set(wanted.split()) <= set(metrics)
    assert (metrics["num_normal"], metrics["num_anomalous"], metrics["alpha"]) == (20, 20, 0.05)
    images = [*normals()[:20], *(spot(image) for image in normals()[:20])]
    scores = load_detector(bigan_dir, device="cpu").score(images)
    assert metrics["auroc"] == pytest.approx(roc_auc_score([0] * 20 + [1] * 20, scores.score))
    assert metrics["threshold"] == scores.threshold
    assert metrics["fpr_at_threshold"] == np.mean([bool(verdict) for verdict in scores.is_anomalous[:20]])
    assert metrics["tpr_at_threshold"] == np.mean([bool(verdict) for verdict in scores.is_anomalous[20:]])
    assert 0.5 < metrics["pixel_auroc"] <= 1
    rows = read_rows(tmp_path / "report" / "scores.csv")
    np.testing.assert_allclose([float(row["score"]) for row in rows], scores.score, rtol=1e-5)
    assert [row["label"] for row in rows] == ["normal"] * 20 + ["anomalous"] * 20
    for name in ("auroc", "fpr_at_threshold", "pixel_auroc", "baselines pca", "baselines knn"):
        assert any(line.strip().startswith(name) for line in result.stdout.splitlines()), name
    assert str(tmp_path / "report" / "report.html") in result.stdout


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("kind", ["[/red]", "[bold]x", "ß" * 120])
def test_any_kind_is_told_whole_as_it_is(kind: str, bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    normal, spots = ([path.as_posix() for path in sorted((tree / "test" / of).iterdir())] for of in ("good", "spot"))
    rows = [f"{path},normal," for path in normal] + [f"{path},anomalous,{kind}" for path in spots]
    (tmp_path / "set.csv").write_text("\n".join(["path,label,kind", *rows]))
    out = tmp_path / "report"
    result = done("evaluate", bigan_dir, tmp_path / "set.csv", "--out", out, "--device", "cpu")
    told = result.stdout[: result.stdout.index("report: ")]
    assert "…" not in told
    assert sum(told.count(character) for character in "[]ß") == 2 * sum(map(kind.count, "[]ß"))
    assert len(kind) == 120 or f"auroc_by_kind {kind}" in told


@pytest.mark.usefixtures("plain")
def test_the_verdict_comes_last_and_the_comparison_at_its_end(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    write_images(tree / "test" / "other", others()[:10])
    result = done("evaluate", bigan_dir, tree, "--out", tmp_path / "report", "--device", "cpu")
    lines = result.stdout.partition("report.html\n")[2].splitlines()
    assert lines == evaluate_bundle(bigan_dir, str(tree), tmp_path / "again", device="cpu").verdict
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    ranking, operating, pixels, kinds, comparison = lines
    assert ranking.startswith("AUROC ")
    assert f"{100 * metrics['auroc']:.1f} times in 100" in ranking
    assert "Measured on 20 normal and 30 anomalous images, of one training (seed 0)" in ranking
    assert "over 20 of 30 anomalous images and 20 normal ones: 10 have no mask" in pixels
    assert "A false-alarm rate of 5" in operating
    assert "false alarm on " in operating
    assert re.search(r"spot \d+\.\d% \(\d+\.\d+% to ", kinds)
    assert re.search(r"other \d+\.\d% \(\d+\.\d+% to ", kinds)
    assert "baseline" in comparison


@pytest.mark.usefixtures("plain")
def test_digits_have_no_masks_and_a_few_duplicates(bigan_dir: Path, tmp_path: Path) -> None:
    done("evaluate", bigan_dir, "digits", "--normal", "0", "--out", tmp_path / "report")
    metrics = read_metrics(tmp_path / "report")
    assert "pixel_auroc" not in metrics
    assert metrics["num_normal"] >= len(normals())
    assert metrics["auroc"] > 0.5


@pytest.mark.usefixtures("plain")
def test_images_that_made_the_model_are_left_out_and_said(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    write_images(tree / "test" / "good" / "seen", digits("train", "0")[:7])
    result = done("evaluate", bigan_dir, tree, "--out", tmp_path / "report")
    assert "7 images were left out: the model was made from them" in result.stderr
    assert read_metrics(tmp_path / "report")["num_normal"] == 20
    assert not any("seen" in row["path"] for row in read_rows(tmp_path / "report" / "scores.csv"))


@pytest.mark.usefixtures("plain")
def test_images_that_cannot_be_read_are_said(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    broken = tree / "test" / "good" / "0003.png"
    broken.write_text("no image")
    result = call("evaluate", bigan_dir, tree, "--out", tmp_path / "report")
    assert result.exit_code == 1
    assert "1 file could not be read:\n" in result.stderr
    assert f"{broken}: " in result.stderr.partition("could not be read:\n")[2]
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert (metrics["num_normal"], metrics["num_failed"]) == (19, 1)
    assert [failure["path"] for failure in metrics["failures"]] == [str(broken)]


@pytest.mark.usefixtures("plain")
def test_labels_stay_with_their_images_when_some_are_left_out(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    (tree / "test" / "good" / "0000.png").write_text("no image")
    write_images(tree / "test" / "a", [*others()[:3], digits("train", "0")[0]])
    call("evaluate", bigan_dir, tree, "--out", tmp_path / "report")
    rows = read_rows(tmp_path / "report" / "scores.csv")
    assert all(f"/test/{row['kind']}/" in row["path"] for row in rows)
    assert all((row["label"] == "normal") == (row["kind"] == "good") for row in rows)
    assert len(rows) == 3 + 19 + 20


@pytest.mark.usefixtures("plain")
def test_a_threshold_needs_enough_calibration_images(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    done("evaluate", bigan_dir, tree, "--out", tmp_path / "report", "--alpha", "0.001")
    metrics = read_metrics(tmp_path / "report")
    assert metrics["threshold"] is metrics["fpr_at_threshold"] is metrics["tpr_at_threshold"] is None


@pytest.mark.usefixtures("plain")
def test_the_report_of_before_is_replaced(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    for alpha in ("0.1", "0.2"):
        done("evaluate", bigan_dir, tree, "--out", tmp_path / "report", "--alpha", alpha)
    assert read_metrics(tmp_path / "report")["alpha"] == 0.2
    assert {path.name for path in (tmp_path / "report").iterdir()} == FILES


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        ("nowhere", [], "nowhere: does not exist"),
        ("digits", [], "say it with --normal"),
        ("digits", ["--normal", "x"], "has no class x"),
        ("good", [], "an evaluation needs normal and anomalous images"),
        ("digits", ["--normal", "0", "--alpha", "2"], "alpha is the false-alarm rate"),
        ("digits", ["--normal", "0", "--device", "warp"], "'warp'"),
        ("digits", ["--normal", "0", "--out", "file"], "file"),
    ],
)
@pytest.mark.usefixtures("plain")
def test_mistakes(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    write_images(tmp_path / "good", normals()[:5])
    out = [] if "--out" in options else ["--out", "report"]
    assert said in refused("evaluate", bigan_dir, data, *options, *out)
    assert not (tmp_path / "report").exists()


def test_nothing_new_to_measure_on(bigan_dir: Path, tree: Path, tmp_path: Path) -> None:
    for path in (tree / "test" / "good").iterdir():
        Image.fromarray(digits("train", "0")[0]).save(path)
    message = refused("evaluate", bigan_dir, tree, "--out", tmp_path / "report")
    assert "20 made this model" in message
    assert "0 are normal and 20 anomalous" in message
