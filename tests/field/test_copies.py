"""Odd training sets: copies, one picture only, mixed colours and sizes; each trains soundly or is refused by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.bundle import NormalSet, load
from anomaly.inference import load_detector
from tests.cli.calls import TINY, done, refused
from tests.field.folders import part
from tests.field.rows import Row

SETS = "Odd sets of normal images"
OPTIONS = ("--device", "cpu", "--steps", "10", "--set", "network.width=4", "--set", "training.batch_size=8")

Picture = Callable[[int], Image.Image]


def grey(seed: int) -> Image.Image:
    return Image.fromarray(part(seed))


def colour(seed: int) -> Image.Image:
    return Image.fromarray((part(seed)[:, :, None] * np.array([1.0, 0.8, 0.6])).astype(np.uint8))


@dataclass(frozen=True)
class Odd:
    """Pictures by number, and what becomes of them: distinct ones and channels, or the words of the refusal."""

    row: Row
    number: int
    picture: Picture
    distinct: int = 0
    channels: int = 1
    said: str = ""


ODD = (
    Odd(Row(SETS, "each picture four times", "copies count once"), 100, lambda i: grey(i // 4), distinct=25),
    Odd(
        Row(SETS, "one picture 30 times", "refused: 1 is distinct"),
        30,
        lambda i: grey(1),
        said="1 are distinct",
    ),
    Odd(
        Row(SETS, "black pictures", "refused: 1 is distinct"),
        30,
        lambda i: Image.new("L", (16, 16)),
        said="of 30 normal images 1 are distinct",
    ),
    Odd(
        Row(SETS, "black pictures but one", "refused: 2 are distinct"),
        30,
        lambda i: grey(1) if i == 17 else Image.new("L", (16, 16)),
        said="of 30 normal images 2 are distinct",
    ),
    Odd(
        Row(SETS, "one picture", "refused: 20 are needed"),
        1,
        grey,
        said="expected at least 20",
    ),
    Odd(
        Row(SETS, "grey pictures, half of them saved as colour", "a grey model"),
        30,
        lambda i: grey(i).convert("RGB") if i % 2 else grey(i),
        distinct=30,
    ),
    Odd(
        Row(SETS, "a colour picture among grey ones", "a colour model"),
        30,
        lambda i: colour(i) if i == 29 else grey(i),
        distinct=30,
        channels=3,
    ),
    Odd(
        Row(SETS, "pictures of several sizes", "all are scaled to one, with a warning of what the largest lose"),
        30,
        lambda i: grey(i).resize(((16, 16), (32, 16), (64, 48))[i % 3]),
        distinct=30,
    ),
    Odd(
        Row(SETS, "pictures of 1 × 1 pixel", "scaled up"),
        30,
        lambda i: Image.new("L", (1, 1), 8 * i),
        distinct=30,
    ),
    Odd(
        Row(SETS, "line scans of 2,000 × 8 pixels", "scaled, with a warning of what is lost"),
        24,
        lambda i: Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 2000), np.uint8)),
        distinct=24,
    ),
)

ROWS: tuple[Row, ...] = tuple(case.row for case in ODD)


def write(folder: Path, number: int, picture: Picture) -> Path:
    folder.mkdir()
    for index in range(number):
        picture(index).save(folder / f"{index:03}.png")
    return folder


@pytest.mark.parametrize("case", ODD, ids=lambda case: case.row.what)
def test_odd_sets(tmp_path: Path, case: Odd) -> None:
    folder = write(tmp_path / "d", case.number, case.picture)
    size = ("--size", "32", "--recipe", "few-images")
    if case.said:
        assert case.said in refused("train", folder, "--out", tmp_path / "m", *OPTIONS, *size)
        assert not (tmp_path / "m" / "1").exists()
        return
    result = done("train", folder, "--out", tmp_path / "m", *OPTIONS, *size)
    manifest = load(tmp_path / "m").manifest
    record = manifest.data
    assert record.num_train + record.num_select + record.num_calibrate == case.distinct
    assert record.num_copies == case.number - case.distinct
    assert manifest.recipe.preprocess.channels == case.channels
    told = f"{case.number} images, {case.distinct} distinct; {record.num_copies} exact copies left out"
    assert (told in result.stdout) == (record.num_copies > 0)
    assert ("pixels become one" in result.stderr) == ("a warning of what" in case.row.outcome)
    scores = load_detector(tmp_path / "m", device="cpu").score(folder / "000.png")
    assert np.isfinite(scores.score).all()


def test_no_picture_is_in_two_sets_and_every_copy_is_known(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", 100, lambda i: grey(i // 4))
    done("train", folder, "--out", tmp_path / "m", *TINY)
    normals = load(tmp_path / "m").contents.normals
    assert len(normals.keys) == 25
    assert sorted(set(normals.sets.tolist())) == [NormalSet.TRAIN, NormalSet.SELECT, NormalSet.CALIBRATE]


def test_copies_change_nothing_of_what_is_learnt(tmp_path: Path) -> None:
    """The same 40 pictures, once without copies and once with ten of them: the same weights and the same ranks."""
    done("train", write(tmp_path / "once", 40, grey), "--out", tmp_path / "m", *TINY)
    write(tmp_path / "twice", 40, grey)
    for index in range(10):
        grey(index).save(tmp_path / "twice" / f"x{index:03}.bmp")
    done("train", tmp_path / "twice", "--out", tmp_path / "n", *TINY)
    for name in ("weights.safetensors", "calibration.safetensors", "golden.safetensors"):
        assert (tmp_path / "m" / "1" / name).read_bytes() == (tmp_path / "n" / "1" / name).read_bytes()


def test_a_calibration_counts_copies_once(tmp_path: Path) -> None:
    done("train", write(tmp_path / "d", 40, grey), "--out", tmp_path / "m", *TINY)
    more = write(tmp_path / "more", 90, lambda i: grey(1000 + i // 3))
    grey(3).save(more / "seen.png")
    result = done("calibrate", tmp_path / "m", more)
    assert "1 image was left out: the model was made from it" in result.stderr
    assert "60 images were left out: they are exact copies of others" in result.stderr
    assert load(tmp_path / "m").manifest.data.num_calibrate == 30


def test_copies_of_training_images_in_the_test_split_are_said_and_left_out(tmp_path: Path) -> None:
    root = tmp_path / "d"
    for name, seeds in {"train/good": range(30), "test/good": range(25, 45)}.items():
        (root / name).mkdir(parents=True)
        for seed in seeds:
            grey(seed).save(root / name / f"{seed}.png")
    (root / "test/cut").mkdir()
    for seed in range(8):
        Image.fromarray(part(seed, is_cut=True)).save(root / "test/cut" / f"{seed}.png")
    done("train", root, "--out", tmp_path / "m", *TINY, "--size", "16")
    result = done("evaluate", tmp_path / "m", root, "--out", tmp_path / "report")
    assert "5 images were left out: the model was made from them" in result.stderr
