"""Results, heatmaps and reports within the folder of the pictures: the next run takes none of them for a picture."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.bundle import load
from anomaly.data import DRAWINGS, Why, expand_inputs, open_dataset
from anomaly.report.detectability import detectability_png
from anomaly.report.report import write_folder
from tests.bundle.records import make_record
from tests.cli.calls import TINY, done, read_rows, refused
from tests.digit_images import digits, normals, others, write_images

NUM_PICTURES = 21


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_images(tmp_path / "d", digits("train", "0")[:NUM_PICTURES])
    return tmp_path / "d"


@pytest.mark.parametrize("heatmaps", [".", "heatmaps", "out/of/run 1"])
def test_a_folder_is_scored_three_times_with_the_same_rows(bigan_dir: Path, folder: Path, heatmaps: str) -> None:
    rows = []
    for name in ("results.csv", "results.csv", "again.csv"):
        done("score", bigan_dir, folder, "--out", folder / name, "--heatmaps", folder / heatmaps, "--alpha", "0.2")
        rows.append(read_rows(folder / name))
    assert len(rows[0]) == NUM_PICTURES
    assert rows[0] == rows[1] == rows[2]
    result = done("score", bigan_dir, folder, "--out", folder / "more.jsonl")
    assert f"left out: {NUM_PICTURES} pictures that anomaly has drawn, such as {folder}" in result.stderr
    assert f"{NUM_PICTURES + 2} other files skipped" in result.stdout


def test_training_takes_the_pictures_alone(bigan_dir: Path, folder: Path) -> None:
    done("score", bigan_dir, folder, "--out", folder / "results.csv", "--heatmaps", folder / "heatmaps")
    result = done("train", folder, "--out", folder / "models" / "m", *TINY)
    assert f"data: left out: {NUM_PICTURES} pictures that anomaly has drawn" in result.stderr
    manifest = load(folder / "models" / "m").manifest
    assert manifest.recipe.preprocess.channels == 1  # heatmaps have colour
    assert manifest.data.num_train + manifest.data.num_select + manifest.data.num_calibrate == NUM_PICTURES
    again = done("train", folder, "--out", folder / "models" / "m", *TINY)
    assert "train takes 21 normal" in again.stderr


def test_a_report_within_the_data_is_no_class(bigan_dir: Path, whole_places_dir: Path, tmp_path: Path) -> None:
    root = tmp_path / "d"
    write_images(root / "good", normals())
    write_images(root / "bad", others()[:9])
    before = open_dataset(str(root))
    done("evaluate", bigan_dir, root, "--out", root / "report")
    done("inspect", bigan_dir, "--out", root / "looks")
    done("inspect", whole_places_dir, "--out", root / "without a generator")
    write_folder({"detectability.png": detectability_png(make_record())}, root / "measured")
    after = open_dataset(str(root))
    assert after.samples == before.samples
    drawn = [Path(file.path).name for file in after.left_out if file.why is Why.OUTPUT]
    assert set(drawn) == DRAWINGS


def test_a_heatmap_that_was_moved_away_is_known_and_one_that_is_named_is_scored(
    bigan_dir: Path, folder: Path, tmp_path: Path
) -> None:
    done("score", bigan_dir, folder, "--out", tmp_path / "r.csv", "--heatmaps", tmp_path / "heatmaps")
    heatmap = sorted((tmp_path / "heatmaps").iterdir())[3]
    shutil.copy(heatmap, folder)
    assert len(expand_inputs([str(folder)])[0]) == NUM_PICTURES
    assert expand_inputs([str(heatmap)]) == ([str(heatmap)], [])
    assert "no images found" in refused("train", tmp_path / "heatmaps", "--out", tmp_path / "m")


def test_a_users_picture_of_such_a_name_is_a_picture(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    for name in ("000001_part.png", "roc.png"):
        Image.fromarray(picture).save(tmp_path / name)
    assert len(expand_inputs([str(tmp_path)])[0]) == 2
