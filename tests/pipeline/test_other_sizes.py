"""Pictures of sizes that did not calibrate a model: who is told, and how."""

import csv
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from anomaly import load_detector
from anomaly.bundle import load
from anomaly.bundle.picture_sizes import PictureSizes
from anomaly.config import Resize
from anomaly.pipeline.calibrate import calibrate_bundle
from anomaly.pipeline.evaluate import evaluate_bundle
from anomaly.pipeline.score import columns_of, score_paths


def test_a_picture_of_a_size_that_did_not_calibrate_is_told_in_python_and_on_the_command_line(
    whole_places_dir: Path, tmp_path: Path
) -> None:
    sizes = load(whole_places_dir).manifest.data.calibration_sizes
    assert sizes == PictureSizes(smallest=(64, 64), largest=(96, 80))
    assert "| sizes of those that calibrate | 64 × 64 to 80 × 96 pixels |\n" in load(whole_places_dir).card
    pictures = tmp_path / "new"
    pictures.mkdir()
    for number, side in enumerate((40, 64, 120)):
        Image.new("L", (side, side), 120).save(pictures / f"{number}.png")
    detector = load_detector(whole_places_dir)
    scores = detector.score([*sorted(pictures.glob("*.png")), tmp_path / "none.png"])
    assert scores.warnings == [detector.size_warning(40, 40), None, None, None]
    assert scores.warnings[0] is not None
    out = tmp_path / "rows.csv"
    summary = score_paths(whole_places_dir, [str(pictures), str(tmp_path / "none.png")], out)
    with out.open(newline="") as file:
        assert [row["warning"] for row in csv.DictReader(file)] == [scores.warnings[0], "", "", ""]
    first = f"{pictures / '0.png'}: {scores.warnings[0]}"
    assert f"1 image of another size or shape than those that the model is for; the first, {first}" in summary.remarks


def test_an_evaluation_tells_of_such_test_pictures(whole_places_dir: Path, tmp_path: Path) -> None:
    for kind, side in (("good", 64), ("spot", 40)):
        folder = tmp_path / "data/test" / kind
        folder.mkdir(parents=True)
        for number in range(2):
            noise = np.random.default_rng((side, number)).integers(100, 140, (side, side), np.uint8)
            Image.fromarray(noise).save(folder / f"{number}.png")
    summary = evaluate_bundle(whole_places_dir, str(tmp_path / "data"), tmp_path / "report")
    (remark,) = summary.remarks
    assert remark.startswith("2 images of another size or shape than those that the model is for; the first, ")
    assert "the picture is 40 × 40 pixels" in remark


def test_calibrating_on_other_sizes_keeps_them(whole_places_dir: Path, tmp_path: Path) -> None:
    model = tmp_path / "m"
    shutil.copytree(whole_places_dir, model)
    pictures = tmp_path / "larger"
    pictures.mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(100, 140, (200, 240), np.uint8)
        Image.fromarray(noise).save(pictures / f"{number}.png")
    renewed = calibrate_bundle(model, str(pictures)).bundle
    assert renewed.manifest.data.calibration_sizes == PictureSizes(smallest=(200, 240), largest=(200, 240))
    assert load_detector(model).size_warning(64, 64) is not None


def test_models_of_squares_tell_of_pictures_that_they_enlarge(bigan_dir: Path) -> None:
    detector = load_detector(bigan_dir)
    assert detector.bundle.manifest.data.calibration_sizes == PictureSizes.of([(8, 8)], Resize.PAD)
    assert "warning" in columns_of(detector)
    enlarged, as_it_is, shrunk = detector.score([np.zeros((side, side), np.uint8) for side in (5, 8, 28)]).warnings
    assert enlarged is not None
    assert "the picture is 5 × 5 pixels, and this model was calibrated on 8 × 8: enlarged to the model's" in enlarged
    assert (as_it_is, shrunk) == (None, None)
    (other,) = detector.score([np.zeros((16, 8), np.uint8)]).warnings
    assert "the picture is 8 × 16 pixels, which is another shape than those that calibrated this model have" in str(
        other
    )


def test_models_that_did_not_keep_the_sizes_say_nothing_of_them() -> None:
    detector = load_detector(Path(__file__).parents[2] / "models" / "mnist")
    assert detector.bundle.manifest.data.calibration_sizes is None
    assert "sizes of those" not in detector.bundle.card
    assert columns_of(detector)["warning"] is str  # for what of a file was not looked at
    assert detector.score([np.zeros((5, 5), np.uint8)]).warnings == [None]


def test_pictures_of_another_shape_than_the_region_are_told(region_dir: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "new"
    pictures.mkdir()
    for name, size in (("a", (28, 28)), ("b", (28, 40))):
        Image.new("L", size, 120).save(pictures / f"{name}.png")
    out = tmp_path / "rows.csv"
    (remark,) = score_paths(region_dir, [str(pictures)], out).remarks
    assert remark.startswith("1 image of another size or shape than those that the model is for; the first, ")
    with out.open(newline="") as file:
        warnings = [row["warning"] for row in csv.DictReader(file)]
    assert warnings == ["", load_detector(region_dir).size_warning(40, 28)]
    assert "the region is stretched over it" in warnings[1]
