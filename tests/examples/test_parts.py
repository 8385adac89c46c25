"""The drawn photographs: no two alike, defects where their masks are, and a folder as MVTec AD's are."""

import sys
from pathlib import Path

import numpy as np
import pytest

from anomaly.data import open_dataset
from examples import parts
from examples.parts import HEIGHT, WIDTH, draw


@pytest.mark.parametrize("kind", ["scratch", "stain", "missing_hole"])
def test_a_defect_is_small_and_lies_where_its_mask_says(kind: str) -> None:
    picture, defect = draw(kind, np.random.default_rng(1))
    assert picture.shape == defect.shape == (HEIGHT, WIDTH)
    assert 0 < defect.mean() < 0.03
    assert 0 <= picture.min() < picture.max() <= 255


def test_a_good_part_has_no_defect_and_the_generator_decides_the_picture() -> None:
    first, again, other = (draw("good", np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert not first[1].any()
    np.testing.assert_array_equal(first[0], again[0])
    assert np.abs(first[0] - other[0]).mean() > 1


def test_the_folder_is_one_that_the_program_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = {"train/good": 3, "test/good": 2, "test/scratch": 1, "test/stain": 1, "test/missing_hole": 1, "new_lot": 2}
    monkeypatch.setattr(parts, "COUNTS", counts)
    monkeypatch.setattr(sys, "argv", ["parts", str(tmp_path / "parts")])
    parts.main()
    assert "drew 10 pictures of 640 × 480 pixels" in capsys.readouterr().out
    dataset = open_dataset(str(tmp_path / "parts"))
    assert (dataset.form, len(dataset.train_normals()), len(dataset.test())) == ("mvtec", 3, 5)
    masks = [
        mask for sample in dataset.test() if sample.label == "anomalous" and (mask := sample.open_mask()) is not None
    ]
    assert len(masks) == 3
    assert all(0 < mask.mean() < 0.03 for mask in masks)
    new_lot = open_dataset(str(tmp_path / "parts" / "new_lot"))
    assert (new_lot.form, len(new_lot.train_normals())) == ("folder", 2)
    pictures = [path.read_bytes() for path in (tmp_path / "parts").rglob("*.jpg")]
    assert len(set(pictures)) == len(pictures) == 10, "no picture of the new lot is one of the others"
