"""Kinds 1, 2, 3 and 17: pixels as the file declares them, whole or refused, and large where that is asked for."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anomaly import load_detector
from anomaly.cli import app
from anomaly.data import decode
from anomaly.errors import ImageError
from anomaly.pipeline.calibrate import calibrate_bundle
from anomaly.pipeline.score import score_paths
from anomaly.pipeline.train import TrainOptions, TrainWatch, train_bundle
from tests.field.pictures import PictureCase, cases
from tests.field.rows import Row

CASES = list(cases())
RANGE = "Values of 16 bits"
PEAKS = [(200, 8), (1_000, 10), (4_095, 12), (4_096, 14), (20_000, 16)]
RANGES = [
    Row(RANGE, f"training values up to {peak:,}", f"read from 0 to {(1 << bits) - 1:,} (`preprocess.range` {bits})")
    for peak, bits in PEAKS
]
BEYOND = Row(RANGE, "a later picture with greater values", "refused: beyond the range of the training images")
FEW = Row(
    RANGE,
    "the same, but one of the training pictures, or no more than one in 20, has greater values",
    "said: it decides the range of all",
)
LARGE = [
    Row("Size", "more than 64 million pixels", "refused; read with `--max-pixels`"),
    Row("Size", "lines of 16,000 × 64, 30,000 × 1 and 1 × 30,000 pixels, one pixel", "read"),
]
ROWS: tuple[Row, ...] = (*(case.row for case in CASES), *RANGES, FEW, BEYOND, *LARGE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row.section}: {case.row.what}")
def test_a_file_is_what_it_declares_or_refused(case: PictureCase) -> None:
    if case.seen is None:
        with pytest.raises(ImageError, match=rf"^it: .*{case.reason}"):
            decode(case.data, name="it")
    else:
        np.testing.assert_array_equal(np.asarray(decode(case.data, name="it")), case.seen)


def wide_pictures(folder: Path, num: int, peak: int, *, seed: int = 0) -> list[Path]:
    """16-bit PNGs of a dim surface; the brightest value of them all is `peak`."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    paths = []
    for index in range(num):
        values = rng.integers(0, peak + 1, (8, 8)).astype(np.uint16)
        values[0, 0] = peak
        Image.fromarray(values).save(folder / f"{index:02}.png")
        paths.append(folder / f"{index:02}.png")
    return paths


def train(data: Path, out: Path, **preprocess: int) -> list[str]:
    """Trains for a step, and returns the warnings."""
    said: list[str] = []
    overrides = {
        "training": {"steps": 1},
        "network": {"width": 4, "latent_dim": 2},
        "preprocess": {"size": 8, **preprocess},
    }
    options = TrainOptions(str(data), out, recipe="digits", overrides=overrides, device="cpu")
    train_bundle(options, TrainWatch(on_warning=said.append))
    return said


@pytest.mark.parametrize(("peak", "bits"), PEAKS)
def test_the_range_holds_all_training_values_and_no_more(peak: int, bits: int, tmp_path: Path) -> None:
    paths = wide_pictures(tmp_path / "normal", 20, peak)
    said = train(tmp_path / "normal", tmp_path / "model")
    detector = load_detector(tmp_path / "model", device="cpu")
    assert detector.preprocess.range == bits
    assert any(f"(preprocess.range={bits})" in warning for warning in said) == (bits < 16)
    values = np.asarray(Image.open(paths[0])).astype(float)
    (expected,) = detector.score(np.rint(values * (255 / (2**bits - 1))).astype(np.uint8)).score
    for source in (paths[0], Image.open(paths[0])):
        assert detector.score(source).score == pytest.approx([expected])


def test_one_picture_that_decides_the_range_of_all_is_said_and_left_out_by_the_range_that_is_advised(
    tmp_path: Path,
) -> None:
    paths = wide_pictures(tmp_path / "normal", 21, 4_095)
    values = np.asarray(Image.open(paths[7])).copy()
    values[3, 3] = 65_535
    Image.fromarray(values).save(paths[7])
    said = train(tmp_path / "normal", tmp_path / "model")
    (told,) = [
        warning for warning in said if warning.startswith("20 of 21 pictures of 16 bits have values up to 4,095")
    ]
    assert f"only {paths[7]} goes beyond, up to 65,535" in told
    manifest = load_detector(tmp_path / "model", device="cpu").bundle.manifest
    assert told in manifest.warnings
    assert manifest.recipe.preprocess.range == 16
    train(tmp_path / "normal", tmp_path / "model", range=12)
    advised = load_detector(tmp_path / "model", device="cpu").bundle.manifest
    assert (advised.data.num_left_out, advised.recipe.preprocess.range) == (1, 12)


def test_beyond_the_range_is_refused_by_name_when_scored_and_when_calibrated(tmp_path: Path) -> None:
    wide_pictures(tmp_path / "normal", 20, 4_095)
    train(tmp_path / "normal", tmp_path / "model")
    new = wide_pictures(tmp_path / "new", 22, 4_095, seed=1)
    (beyond,) = wide_pictures(tmp_path / "beyond", 1, 4_096)
    beyond.rename(new[0])
    summary = score_paths(tmp_path / "model", [str(tmp_path / "new")], tmp_path / "rows.csv", device="cpu")
    assert (summary.num_rows, summary.num_failed) == (22, 1)
    assert "has values up to 4,096, beyond the range of the training images, which is 4,095 (12 bits)" in (
        tmp_path / "rows.csv"
    ).read_text("utf-8")
    calibrated = calibrate_bundle(tmp_path / "model", str(tmp_path / "new"), device="cpu")
    assert (calibrated.num_failed, calibrated.bundle.manifest.recipe.preprocess.range) == (1, 12)


def test_an_ignored_alpha_and_a_mixture_of_8_and_16_bits_are_said_once(tmp_path: Path) -> None:
    paths = wide_pictures(tmp_path / "normal", 20, 1_000)
    for seed, path in enumerate(paths[:3]):
        grey = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(np.dstack([grey, np.zeros_like(grey)])).save(path)
    said = train(tmp_path / "normal", tmp_path / "model")
    assert [warning for warning in said if "transparency" in warning] == [
        f"3 of the images, such as {paths[0]}: the transparency (alpha) is 0 everywhere, so it was ignored"
    ]
    assert [warning for warning in said if warning.startswith("17 of 20 images have 16 bits: ")]
    result = CliRunner().invoke(
        app,
        [
            "score",
            str(tmp_path / "model"),
            str(tmp_path / "normal"),
            "--out",
            str(tmp_path / "rows.csv"),
            "--device",
            "cpu",
        ],
    )
    assert result.exit_code == 0
    said_once = " ".join(result.stderr.split())
    assert said_once.count(f"3 of the images, such as {paths[0]}: the transparency (alpha) is 0 everywhere") == 1
    with (tmp_path / "rows.csv").open(newline="") as file:  # nothing of these pictures is missing
        assert {row["warning"] for row in csv.DictReader(file)} == {""}


def test_large_pictures_are_refused_and_read_where_that_is_asked_for(bigan_dir: Path, tmp_path: Path) -> None:
    Image.new("L", (8_192, 8_192), 90).save(tmp_path / "area.png")
    Image.new("L", (16_000, 64), 90).save(tmp_path / "line.png")
    for size in ((30_000, 1), (1, 30_000), (1, 1)):
        Image.new("L", size, 90).save(tmp_path / f"{size[0]}_{size[1]}.png")
    refused = score_paths(bigan_dir, [str(tmp_path)], tmp_path / "rows.csv", device="cpu")
    assert (refused.num_rows, refused.num_failed) == (5, 1)
    assert "8192 × 8192 pixels; at most 64,000,000 are accepted" in (tmp_path / "rows.csv").read_text("utf-8")
    arguments = ["score", str(bigan_dir), str(tmp_path), "--out", str(tmp_path / "rows.csv"), "--device", "cpu"]
    result = CliRunner().invoke(app, [*arguments, "--max-pixels", "70000000"])
    assert (result.exit_code, "0 without a score" in result.stdout) == (0, True), result.output
