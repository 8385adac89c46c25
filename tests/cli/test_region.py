"""`anomaly region`, and `anomaly train --region`: what lies outside changes no score, by whatever way it is scored."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.bundle import load
from anomaly.config.region import decode_region, inside_of
from anomaly.inference import load_detector
from tests.cli.calls import TINY, done, refused
from tests.digit_images import Pixels, write_images

SIDE = 24
PART = np.zeros((SIDE, SIDE), np.bool_)
PART[6:18, 6:18] = True


def parts(num: int, seed: int) -> Pixels:
    """A square of a few bars on an even background, with a little noise."""
    rng = np.random.default_rng(seed)
    pictures = np.full((num, SIDE, SIDE), 200.0)
    pictures[:, PART] = 60
    pictures[:, 8:10, 7:17] = pictures[:, 14:16, 7:17] = 160
    return (pictures + rng.normal(0, 4, pictures.shape)).clip(0, 255).astype(np.uint8)


def changed_outside(pictures: Pixels) -> Pixels:
    rng = np.random.default_rng(9)
    return np.where(PART, pictures, rng.integers(0, 256, pictures.shape)).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_images(tmp_path / "good", parts(40, 0))
    return tmp_path / "good"


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    Image.fromarray(PART).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def test_what_lies_outside_changes_no_score(data: Path, mask: Path, tmp_path: Path) -> None:
    result = done("train", data, "--region", mask, "--out", tmp_path / "m", *TINY, "--size", "16")
    sentence = "25% of each picture is inside the region; what lies outside is never evidence"
    assert f"{sentence}\n" in result.stdout
    assert sentence in (tmp_path / "m" / "1" / "README.md").read_text("utf-8")
    detector = load_detector(tmp_path / "m", device="cpu")
    assert detector.preprocess.region is not None
    assert np.array_equal(inside_of(detector.preprocess.region, SIDE, SIDE), PART)

    pictures = parts(3, 1)
    outside, inside = changed_outside(pictures), pictures.copy()
    inside[:, 9:12, 9:12] = 255
    expected = detector.score(pictures[:, None])
    for scores in (detector.score(outside[:, None]), detector.score(list(outside))):
        assert np.array_equal(scores.score, expected.score)
        assert all(map(np.array_equal, scores.heatmap, expected.heatmap))
    assert (detector.score(inside[:, None]).score != expected.score).all()
    assert all((heatmap[~PART] == 0).all() and heatmap[PART].any() for heatmap in expected.heatmap)


def test_nor_does_it_in_training_and_calibration(data: Path, mask: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "other", changed_outside(parts(40, 0)))
    for name, folder in (("a", data), ("b", tmp_path / "other")):
        done("train", folder, "--region", mask, "--out", tmp_path / name, *TINY)
    a, b = (load(tmp_path / name).contents for name in "ab")
    assert np.array_equal(a.calibration.scores, b.calibration.scores)
    assert a.manifest.data.fingerprint == b.manifest.data.fingerprint


def test_calibrating_anew_keeps_the_region(data: Path, mask: Path, tmp_path: Path) -> None:
    done("train", data, "--region", mask, "--out", tmp_path / "m", *TINY)
    write_images(tmp_path / "new", parts(30, 2))
    done("calibrate", tmp_path / "m", tmp_path / "new")
    first, second = (load(tmp_path / "m" / version).manifest.recipe.preprocess.region for version in "12")
    assert first == second is not None


def test_polygons(data: Path, tmp_path: Path) -> None:
    square = [[6, 6], [17, 6], [17, 17], [6, 17]]
    (tmp_path / "r.json").write_text(json.dumps({"width": SIDE, "height": SIDE, "polygons": [square]}))
    done("train", data, "--region", tmp_path / "r.json", "--out", tmp_path / "m", *TINY)
    region = load(tmp_path / "m").manifest.recipe.preprocess.region
    assert region is not None
    assert np.array_equal(decode_region(region), PART)


def test_mistakes(data: Path, mask: Path, tmp_path: Path) -> None:
    options = ("--out", tmp_path / "m", *TINY)
    Image.fromarray(PART[:12]).save(tmp_path / "flat.png")
    assert "aspect ratio" in refused("train", data, "--region", tmp_path / "flat.png", *options)
    missing = refused("train", data, "--region", tmp_path / "nosuch.png", *options)
    assert missing.endswith("nosuch.png: does not exist; check the path")
    twice = ("--set", "preprocess.region=abc", "--region", mask)
    assert "set twice" in refused("train", data, *twice, *options)
    assert "preprocess.region: a region is a PNG" in refused("train", data, "--set", "preprocess.region=abc", *options)
    assert not (tmp_path / "m").exists()


def test_a_proposal_can_be_trained_with(data: Path, tmp_path: Path) -> None:
    result = done("region", data, "--out", tmp_path / "proposed" / "region.png")
    proposed = np.asarray(Image.open(tmp_path / "proposed" / "region.png")) > 0
    assert proposed.shape == PART.shape
    assert proposed[PART].mean() > 0.98
    assert proposed.mean() < 0.5
    assert f"{proposed.mean():.0%} of the picture is inside" in result.stdout
    assert "region_overlay.png: a defect where it is dark cannot be found" in result.stdout
    assert "pieces" not in result.stdout
    overlay = np.asarray(Image.open(tmp_path / "proposed" / "region_overlay.png"))
    assert overlay[~proposed].max() < 80
    assert overlay[proposed].max() > 130
    done("train", data, "--region", tmp_path / "proposed" / "region.png", "--out", tmp_path / "m", *TINY)


def test_a_proposal_in_pieces_is_said_to_leave_out_what_lies_between(tmp_path: Path) -> None:
    """A plain surface with a mark in each of two corners."""
    rng, pictures = np.random.default_rng(0), np.full((30, 64, 64), 128, np.uint8)
    for corner in (slice(6, 20), slice(44, 58)):
        pictures[:, corner, corner] = np.kron(np.indices((7, 7)).sum(axis=0) % 2, np.ones((2, 2))) * 200
    write_images(tmp_path / "plates", pictures + rng.integers(0, 4, pictures.shape, np.uint8))
    told = done("region", tmp_path / "plates", "--out", tmp_path / "r.png").stdout
    assert "it is in 2 pieces: where the pictures show one part" in told


def test_no_proposal(tmp_path: Path, data: Path) -> None:
    write_images(tmp_path / "noise", np.random.default_rng(0).integers(0, 256, (30, SIDE, SIDE), np.uint8))
    assert "no structure in common" in refused("region", tmp_path / "noise", "--out", tmp_path / "r.png")
    write_images(tmp_path / "few", parts(4, 0))
    assert "4 normal pictures can be read" in refused("region", tmp_path / "few", "--out", tmp_path / "r.png")
    assert "lies within DATA" in refused("region", data, "--out", data / "r.png")
    assert "ends in .png" in refused("region", data, "--out", tmp_path / "r.jpg")
    assert not (tmp_path / "r.png").exists()


def test_a_mask_that_was_corrected_by_hand_is_not_replaced(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "region.png"
    for _ in range(2):  # the same again is no loss
        done("region", data, "--out", out)
    for path in (out, tmp_path / "region_overlay.png"):
        proposed = path.read_bytes()
        Image.fromarray(PART).save(path)
        corrected = path.read_bytes()
        said = refused("region", data, "--out", out)
        assert said == (
            f"{path} exists and is not what would be written, so it is not replaced: move it away, or give another "
            "--out"
        )
        assert path.read_bytes() == corrected
        path.write_bytes(proposed)
