"""A newcomer's path: a folder of photographs, `anomaly train FOLDER --out M --max-minutes 1`, and no other option."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.bundle import load
from anomaly.inference import load_detector

pytestmark = pytest.mark.long

NUM_PHOTOGRAPHS, WIDTH, HEIGHT = 24, 1280, 960


def photograph(number: int) -> Image.Image:
    """A brushed metal part on a dark table, in light that changes a little, with the noise of a camera."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    brushed = np.repeat(rng.normal(0, 9, (HEIGHT, WIDTH // 16)), 16, axis=1)
    is_part = np.maximum(np.abs(rows), np.abs(columns)) < 0.8
    is_hole = (rows**2 + columns**2 * (WIDTH / HEIGHT) ** 2) < 0.05
    light = 1 + 0.1 * rng.normal() * columns + 0.1 * rng.normal() * rows
    seen = np.where(is_part & ~is_hole, 150 + brushed, 40) * light
    colour = np.stack([seen, 0.97 * seen, 0.92 * seen], axis=2) + rng.normal(0, 3, (HEIGHT, WIDTH, 1))
    return Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the newcomer is; the photographs lie in `photographs`."""
    home = tmp_path_factory.mktemp("home")
    (home / "photographs").mkdir()
    for number in range(NUM_PHOTOGRAPHS):
        photograph(number).save(home / "photographs" / f"IMG_{number:04d}.jpg", quality=90)
    return home


def test_a_minute_on_photographs(home: Path) -> None:
    """What is chosen, what is lost, how far it came and how to go on, is all told; and stands in manifest and card."""
    program = Path(sys.executable).with_name("anomaly")
    command: list[str | Path] = [program, "train", "photographs", "--out", "M", "--max-minutes", "1"]
    run = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, timeout=280)
    assert run.returncode == 0, run.stderr
    said = run.stderr
    reason = "24 colour images of 1,280 × 960 pixels: more than 1024 pixels a side"
    assert f"recipe large-parts, chosen for {reason}; training at their own resolution, 1,000 steps" in said
    assert "scaled" not in said

    bundle = load(home / "M")
    manifest = bundle.manifest
    assert 0 < manifest.num_steps <= 1000
    is_whole = manifest.num_steps == 1000
    others = "" if is_whole else " of its last network (the others had at least as many)"
    done = f"trained {manifest.num_steps:,} of 1,000 steps{others} at their own resolution"
    why = "all steps were done" if is_whole else "the time limit was reached"
    assert f"{done}; it ended because {why}\n" in run.stdout
    assert ("train again with more time" in run.stdout) is not is_whole
    sets = manifest.data
    assert sets.num_train + sets.num_select + sets.num_calibrate + sets.num_report == NUM_PHOTOGRAPHS
    assert f"normal images: {sets.num_train} to train, {sets.num_select} to select" in run.stdout

    assert (manifest.recipe_name, manifest.recipe_reason) == ("large-parts", reason)
    assert (manifest.recipe.preprocess.scale, manifest.recipe.preprocess.channels) == (1.0, 3)
    for warning in manifest.warnings:
        assert f"- {warning}\n" in bundle.card
    assert ("warnings of this training stand in the model card, M/1/README.md\n" in said) is bool(manifest.warnings)
    assert f"large-parts ({reason})" in bundle.card
    assert manifest.command == "anomaly train photographs --out M --max-minutes 1"
    scores = load_detector(home / "M", device="cpu").score(home / "photographs" / "IMG_0000.jpg")
    assert scores.heatmap[0].shape == (HEIGHT, WIDTH)
    assert np.isfinite(scores.score).all()
