"""Too few normal images are known before anything is learnt, with the number that is enough."""

from pathlib import Path

import pytest

from anomaly.calibration import num_needed
from anomaly.data import num_normals_for, open_dataset, split_normals
from anomaly.defaults import ALPHA
from anomaly.errors import DataError
from anomaly.pipeline.enough import check_enough, shortage_of_normals
from tests.cli.calls import TINY, done, refused
from tests.digit_images import digits, write_images


@pytest.mark.parametrize("num_calibration", [1, 5, 19, 60, 99, 100, 250])
def test_so_many_normals_calibrate_and_one_less_does_not(num_calibration: int) -> None:
    n = num_normals_for(num_calibration)
    assert len(split_normals(n, seed=0).calibrate) >= num_calibration
    assert n == 20 or len(split_normals(n - 1, seed=0).calibrate) < num_calibration


def test_enough_is_said_where_it_is_enough(tmp_path: Path) -> None:
    wanted = num_normals_for(num_needed(ALPHA))
    images = write_images(tmp_path / "d", digits("train", "0")[:wanted])
    assert shortage_of_normals(open_dataset(str(tmp_path / "d"))) is None
    images[0].unlink()
    said = shortage_of_normals(open_dataset(str(tmp_path / "d")))
    assert said is not None
    assert said.startswith(
        "there are 75 normal images to train on, and 18 of them will calibrate; no image can be called"
    )
    assert "fewer than 19: 76 normal images are enough" in said


def test_parts_are_what_is_counted(tmp_path: Path) -> None:
    for number, path in enumerate(write_images(tmp_path / "d", digits("train", "0")[:80])):
        path.rename(path.with_name(f"p{number % 40}_{path.name}"))
    said = shortage_of_normals(open_dataset(str(tmp_path / "d"), groups=r"p(\d+)_"))
    assert (said or "").startswith("there are 40 parts to train on, and 10 of them will calibrate")


@pytest.mark.parametrize(
    ("num_parts", "num_each", "told"),
    [
        (3, 10, "there are 3 parts to train on; expected at least 4"),
        (15, 1, "there are 15 normal images to train on; e"),
    ],
)
def test_too_few_parts_or_images_are_refused_at_once(tmp_path: Path, num_parts: int, num_each: int, told: str) -> None:
    for number, path in enumerate(write_images(tmp_path / "d", digits("train", "0")[: num_parts * num_each])):
        path.rename(path.with_name(f"p{number % num_parts}_{path.name}"))
    with pytest.raises(DataError) as refusal:
        check_enough(open_dataset(str(tmp_path / "d"), groups=r"p(\d+)_"))
    assert str(refusal.value).startswith(told)


def test_training_and_data_say_it_first(tmp_path: Path) -> None:
    write_images(tmp_path / "five", digits("train", "0")[:5])
    few = "there are 5 normal images to train on; expected at least 20, because"
    assert few in done("data", tmp_path / "five").stdout
    said = refused("train", tmp_path / "five", "--out", tmp_path / "models" / "m")
    assert said.startswith(few)
    assert "with 76 normal images or more" in said
    assert not (tmp_path / "models").exists()
    write_images(tmp_path / "more", digits("train", "0")[:35])
    lines = done("train", tmp_path / "more", "--out", tmp_path / "models" / "m", *TINY).stderr.splitlines()
    told = [number for number, line in enumerate(lines) if "there are 35 normal images to train on" in line]
    assert told == [next(number for number, line in enumerate(lines) if line.startswith("recipe ")) - 1]
