"""A newcomer's path: a folder of photographs, `anomaly train FOLDER --out M --max-minutes 1`, and no other option."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.bundle import load
from anomaly.inference import load_detector

NUM_PHOTOGRAPHS, WIDTH, HEIGHT = 44, 1280, 960


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
    reason = "44 colour images of 1,280 × 960 pixels: more than 64 pixels a side"
    assert f"recipe surfaces, chosen for {reason}; " in said
    assert "256 × 256 pixels, 6,000 steps" in said
    assert "images of 1,280 × 960 pixels are scaled down to 256 × 256: about 5.0 pixels become one" in said
    assert "a scratch 10 pixels wide becomes 2.0 pixels" in said
    assert "pictures that show the important region only" in said

    bundle = load(home / "M")
    manifest = bundle.manifest
    assert 0 < manifest.num_steps < 6000
    done = f"trained {manifest.num_steps:,} of 6,000 steps at 256 × 256 pixels"
    assert f"{done}; it ended because the time limit was reached\n" in run.stdout
    assert "to go on from there, give the same command with --resume and without --max-minutes" in run.stdout
    sets = manifest.data
    assert sets.num_train + sets.num_select + sets.num_calibrate == NUM_PHOTOGRAPHS
    assert f"normal images: {sets.num_train} to train, {sets.num_select} to select" in run.stdout

    assert (manifest.recipe_name, manifest.recipe_reason) == ("surfaces", reason)
    assert (manifest.recipe.preprocess.size, manifest.recipe.preprocess.channels) == (256, 3)
    assert manifest.recipe.auxiliary.synthetic_defects
    scaled, limited = (
        next(warning for warning in manifest.warnings if word in warning) for word in ("scaled down", "time limit")
    )
    assert "a scratch 10 pixels wide becomes 2.0 pixels" in scaled
    assert f"at step {manifest.num_steps:,} of 6,000" in limited
    assert "--resume" in limited
    for warning in manifest.warnings:
        assert f"- {warning}\n" in bundle.card
    assert "warnings of this training stand in the model card, M/1/README.md\n" in said
    assert f"surfaces ({reason})" in bundle.card
    assert manifest.command == "anomaly train photographs --out M --max-minutes 1"
    scores = load_detector(home / "M", device="cpu").score(home / "photographs" / "IMG_0000.jpg")
    assert scores.heatmap[0].shape == (HEIGHT, WIDTH)
    assert np.isfinite(scores.score).all()
