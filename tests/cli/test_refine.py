"""`anomaly refine`: what it says, and what it refuses."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.bundle import load
from anomaly.training.places import labelled
from tests.cli.calls import done, refused


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is learnt does not matter to most tests here."""
    monkeypatch.setattr(labelled, "_STEPS", 20)


@pytest.fixture
def model(whole_places_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole_places_dir, tmp_path / "models" / "m"))


@pytest.fixture
def data(drawn_parts: Path, tmp_path: Path) -> Path:
    """The folder that the model was trained on, and another one of three defects without masks."""
    shutil.copytree(drawn_parts, tmp_path / "data" / "good")
    (tmp_path / "data" / "cut").mkdir()
    for number, file in enumerate(sorted(drawn_parts.glob("*.png"))[:3]):
        with Image.open(file) as picture:
            pixels = np.array(picture)
        pixels[20:50, 10 + number : 14 + number] = 250
        Image.fromarray(pixels).save(tmp_path / "data" / "cut" / f"{number}.png")
    return tmp_path / "data"


def test_it_says_what_it_took_what_taught_and_how_to_go_back(model: Path, data: Path) -> None:
    result = done("refine", model, data, "--alpha", "0.2", "--device", "cpu")
    assert "data: refine takes 24 normal, 3 anomalous; of the normal images those that made the model" in result.stderr
    assert "each fifth" not in result.stderr
    assert "learnt from 3 labelled defects (3 cut), 0 with a mask" in result.stderr
    assert "of these are found at a false-alarm rate of 20.0%" in result.stderr
    assert "with labels" in result.stderr
    assert f"wrote {model / '2'}\n" in result.stdout
    assert "threshold at alpha 0.2: " in result.stdout
    assert f"To go back, delete the folder {model / '2'}" in result.stderr
    card = load(model).card
    assert "No abnormal image was used" not in card
    assert "3 labelled defects (3 cut) taught it too" in card


def test_defects_may_lie_elsewhere(model: Path, data: Path, tmp_path: Path) -> None:
    """In a folder of their own, or in a manifest; of its test split nothing teaches."""
    (data / "cut").rename(tmp_path / "missed")
    result = done("refine", model, data / "good", "--defects", tmp_path / "missed", "--device", "cpu")
    assert "data: refine takes 24 normal, 3 anomalous; of the normal images those that made the model" in result.stderr
    assert "learnt from 3 labelled defects, 0 with a mask" in result.stderr
    rows = [f"missed/{number}.png,anomalous,{split}" for number, split in enumerate(("train", "test", "train"))]
    (tmp_path / "corrected.csv").write_text("\n".join(["path,label,split", *rows]))
    result = done("refine", model, data / "good", "--defects", tmp_path / "corrected.csv", "--device", "cpu")
    assert "learnt from 2 labelled defects, 0 with a mask" in result.stderr
    assert load(model).manifest.data.labelled == {"": 2}


def test_defects_elsewhere_that_cannot_be_used(model: Path, data: Path) -> None:
    options = ("refine", model, data / "good", "--device", "cpu")
    assert "has no labelled defects. Add some:" in refused(*options)
    assert "has a folder good, so not all of its images" in refused(*options, "--defects", data)
    assert "nowhere: does not exist; expected a folder of defective images" in refused(*options, "--defects", "nowhere")
    assert "there is an empty text after --defects" in refused(*options, "--defects", "")
    assert [path.name for path in model.iterdir()] == ["1"]


def test_a_file_that_cannot_be_read_is_left_out(model: Path, data: Path) -> None:
    (data / "cut" / "text.png").write_text("no image")
    result = done("refine", model, data, "--device", "cpu")
    assert f"1 file could not be read and was left out; {model / '2.left_out.csv'} says which and why" in result.stderr
    assert load(model).manifest.data.labelled == {"cut": 3}


def test_a_model_with_a_generator_is_refused_in_a_sentence(bigan_dir: Path, data: Path) -> None:
    assert "labelled defects cannot be taught to it" in refused("refine", bigan_dir, data)
