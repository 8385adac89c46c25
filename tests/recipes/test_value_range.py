"""A few pictures of 16 bits that decide the range of all: one, or no more than one in 20."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.config import PreprocessConfig
from anomaly.data import Sample
from anomaly.recipes import beyond_note, few_beyond, survey
from tests.cli.calls import call, done


def of(*peaks: int) -> list[tuple[str, int]]:
    return [(f"{row}.tif", peak) for row, peak in enumerate(peaks)]


def pictures(folder: Path, *peaks: int) -> list[Sample]:
    folder.mkdir()
    for row, peak in enumerate(peaks):
        values = np.zeros((8, 8), np.uint16)
        values[row % 8, 3] = peak
        Image.fromarray(values).save(folder / f"{row:02}.tif")
    return [Sample(str(path), "train", "normal", "") for path in sorted(folder.iterdir())]


def test_one_hot_pixel_is_told_with_who_has_it_what_is_lost_and_what_to_do() -> None:
    found = few_beyond(of(*[3000] * 49, 65535, *[2900] * 249, 4000))
    assert found is not None
    assert (found.num_within, found.num_beyond, found.bits, found.peak) == (299, 1, 12, 4000)
    assert str(found) == (
        "299 of 300 pictures of 16 bits have values up to 4,095; only 49.tif goes beyond, up to 65,535. So all are "
        "read from 0 to 65,535, and the others keep at most 17 of 256 grey levels: small differences in them are lost. "
        "If it is faulty, as by single hot pixels, take it out, or have training leave it out by --set "
        "preprocess.range=12"
    )


def test_of_several_the_first_is_named() -> None:
    told = str(few_beyond(of(*[900] * 50, 4000, *[900] * 48, 3000)))
    assert "98 of 100 pictures of 16 bits have values up to 1,023; only 2 go beyond, the first of them 50.tif" in told
    assert "up to 4,000. So all are read from 0 to 4,095" in told
    assert "If these few are faulty" in told


@pytest.mark.parametrize(
    ("peaks", "told"),
    [
        ([4000] * 30, False),
        ([], False),
        ([65535], False),
        ([4000] * 9 + [65535], True),
        ([4000] * 9 + [4095], False),
        ([4000] * 95 + [65535] * 5, True),
        ([4000] * 94 + [65535] * 6, False),
        ([4000] * 29 + [60000, 65535], False),
        ([4000] * 39 + [60000, 65535], True),
    ],
)
def test_few_are_one_or_no_more_than_one_in_20(peaks: list[int], told: bool) -> None:
    assert (few_beyond(of(*peaks)) is not None) is told


def test_another_range_that_is_given_is_not_decided_by_them(tmp_path: Path) -> None:
    found = survey(pictures(tmp_path / "d", *[4000] * 20, 65535))
    assert found.value_range == 16
    assert "only " in (beyond_note(found, PreprocessConfig(range=16)) or "")
    assert beyond_note(found, PreprocessConfig(range=12)) is None
    assert beyond_note(survey(pictures(tmp_path / "e", *[4000] * 20)), PreprocessConfig(range=12)) is None


def test_the_command_data_says_it_of_the_images_that_train(tmp_path: Path) -> None:
    pictures(tmp_path / "d", *[4000] * 20, 65535)
    assert f"20 of 21 pictures of 16 bits have values up to 4,095; only {tmp_path / 'd' / '20.tif'} goes" in done(
        "data", tmp_path / "d"
    ).stdout.replace("\n", " ")


@pytest.mark.parametrize("command", ["region", "recipes try"])
def test_each_command_that_reads_all_by_one_range_tells_of_the_few(command: str, tmp_path: Path) -> None:
    """`region` of points on black proposes none, and `recipes try` of so few trains none; both have read them all."""
    pictures(tmp_path / "wide", *[3000] * 20, 65535)
    more = ["--out", tmp_path / "mask.png"] if command == "region" else ["--recipes", "digits,autoencoder"]
    result = call(*command.split(), tmp_path / "wide", *more)
    said = " ".join(result.output.split())
    assert "20 of 21 pictures of 16 bits have values up to 4,095" in said
