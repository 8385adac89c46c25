"""`--groups` on the command line: what is said of parts, and what a mistake says."""

from pathlib import Path

import pytest

from anomaly.bundle import load
from tests.cli.calls import done, refused
from tests.digit_images import digits, normals, others, write_images

TINY = ["--steps", "10", "--set", "network.latent_dim=2", "--set", "network.width=4", "--device", "cpu"]
GROUPS = ["--groups", r"p(\d+)_"]


def write_parts(folder: Path) -> Path:
    """24 parts, three pictures each."""
    for number, path in enumerate(write_images(folder, digits("train", "0")[:72])):
        path.rename(path.with_name(f"p{number % 24}_{path.name}"))
    return folder


def test_from_data_to_verdict(tmp_path: Path) -> None:
    write_parts(tmp_path / "d" / "good")
    write_images(tmp_path / "d" / "bad", others()[:10])
    assert "its normal images show 24 parts (0, 10, 11 …); train takes those of 19" in done(
        "data", tmp_path / "d", "--normal", "good", *GROUPS
    ).stdout.replace("\n", " ")
    made = done("train", tmp_path / "d", "--normal", "good", "--out", tmp_path / "m", *GROUPS, *TINY)
    assert "there are 19 parts; expected at least 20" in made.stderr
    assert r"parts, by --groups p(\d+)_: 13 to train, 2 to select, 4 to calibrate" in made.stdout
    assert "8 images are used for nothing" in made.stdout
    data = load(tmp_path / "m").manifest.data
    assert (data.num_train, data.num_select, data.num_calibrate, data.num_unused) == (39, 6, 4, 8)
    judged: list[str | Path] = ["--out", tmp_path / "r", "--normal", "good", "--alpha", "0.2"]
    told = done("evaluate", tmp_path / "m", tmp_path / "d", *judged, *GROUPS)
    assert "Of 5 parts that are new to the model, one normal picture each" in told.stdout
    assert "give --groups too" in done("evaluate", tmp_path / "m", tmp_path / "d", *judged).stderr
    for number, path in enumerate(write_images(tmp_path / "new", normals()[:30])):
        path.rename(path.with_name(f"p{100 + number % 10}_{path.name}"))
    renewed = done("calibrate", tmp_path / "m", tmp_path / "new", *GROUPS)
    assert "with 10 calibration images" in renewed.stdout
    assert "20 images were left out: one picture of each part calibrates" in renewed.stderr


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("group", "--groups group is the column of a manifest"),
        ("p(", "is no regular expression"),
        (r"q(\d+)_", r"do not match --groups 'q(\d+)_': "),
    ],
)
def test_mistakes(tmp_path: Path, groups: str, said: str) -> None:
    folder = write_parts(tmp_path / "d")
    assert said in refused("train", folder, "--out", tmp_path / "m", "--groups", groups, *TINY)
    assert not (tmp_path / "m").exists()
