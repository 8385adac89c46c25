"""Samples, masks, and which samples train and which test."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data import Dataset, Label, Sample, Split, open_dataset, open_readable
from anomaly.data.decoding.decode import to_array
from anomaly.errors import DataError, ImageError


def dataset(*samples: tuple[Split | None, Label | None]) -> Dataset:
    return Dataset("set", "manifest", tuple(Sample(f"{i}", *sample, kind="") for i, sample in enumerate(samples)))


def names(samples: list[Sample]) -> list[str]:
    return [sample.path for sample in samples]


def test_with_two_splits_each_serves_its_purpose() -> None:
    data = dataset(
        ("train", "normal"), ("train", "anomalous"), ("test", "normal"), ("test", "anomalous"), ("test", None)
    )
    assert names(data.train_normals()) == ["0"]
    assert names(data.test()) == ["2", "3"]


def of_one_split(split: Split | None) -> Dataset:
    normals: list[tuple[Split | None, Label | None]] = [(split, "normal")] * 6
    return dataset((split, "anomalous"), *normals, (split, None))


def test_without_splits_every_fifth_normal_is_held_out() -> None:
    assert names(of_one_split(None).train_normals()) == ["2", "3", "4", "5"]
    assert names(of_one_split(None).test()) == ["0", "1", "6"]


def test_of_a_test_split_alone_all_is_evaluated_and_nothing_trained_on() -> None:
    data = of_one_split("test")
    assert names(data.test()) == ["0", "1", "2", "3", "4", "5", "6"]
    assert data.known_normals() == []
    with pytest.raises(DataError, match="set: has a test split only, and nothing of a test split is learnt from"):
        data.train_normals()


def test_of_a_training_split_alone_all_normals_train_and_nothing_is_evaluated() -> None:
    data = of_one_split("train")
    assert names(data.train_normals()) == ["1", "2", "3", "4", "5", "6"]
    with pytest.raises(DataError, match=r"set: has a training split only.*give a data set with a test split"):
        data.test()


def test_without_anomalies_all_normals_train() -> None:
    assert names(dataset((None, "normal"), (None, "normal"), (None, None)).train_normals()) == ["0", "1"]


def test_nothing_normal_to_train_on() -> None:
    with pytest.raises(DataError, match="set: no normal images to train on"):
        dataset(("train", "anomalous"), ("test", "normal")).train_normals()


@pytest.mark.parametrize(
    ("label", "counts"), [("normal", "1 normal and 0 anomalous"), ("anomalous", "0 normal and 1 an")]
)
def test_an_evaluation_needs_both_labels(label: Label, counts: str) -> None:
    with pytest.raises(DataError, match=f"needs normal and anomalous images; found {counts}"):
        dataset(("test", label), ("train", "normal"), ("train", "anomalous")).test()


def test_opening_decodes_the_file_and_names_it_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (3, 2), 9).save(path)
    sample = Sample(str(path), None, "normal", "")
    assert np.array_equal(to_array(sample.open()), np.full((2, 3), 9))
    path.unlink()
    with pytest.raises(ImageError, match=r"a\.png: does not exist"):
        sample.open()


def test_masks(tmp_path: Path) -> None:
    grey = np.array([[0, 127, 128, 255]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "mask.png")
    pixels = np.zeros((1, 4), np.uint8)
    defect = Sample("a", "test", "anomalous", "crack", pixels, masks=(tmp_path / "mask.png",), masked=True)
    normal = Sample("b", "test", "normal", "good", pixels, masked=True)
    unknown = Sample("c", "test", "anomalous", "crack", pixels, masked=True)
    elsewhere = Sample("d", "test", "normal", "good", pixels)
    mask, none = defect.open_mask(), normal.open_mask()
    assert mask is not None
    assert mask.dtype == np.bool_
    assert mask.tolist() == [[False, False, True, True]]
    assert none is not None
    assert none.dtype == np.bool_
    assert none.tolist() == [[False] * 4]
    assert unknown.open_mask() is None
    assert elsewhere.open_mask() is None


def test_a_mask_of_zeros_and_ones_is_read(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1]], np.uint8)).save(tmp_path / "mask.png")
    pixels = np.zeros((1, 2), np.uint8)
    mask = Sample("a", "test", "anomalous", "", pixels, masks=(tmp_path / "mask.png",), masked=True).open_mask()
    assert mask is not None
    assert mask.tolist() == [[False, True]]


def test_a_data_set_is_shown_without_its_samples() -> None:
    shown = repr(open_dataset("digits", normal=["0"]))
    assert "name='digits'" in shown
    assert len(shown) < 300


def test_only_what_can_be_read_is_opened_and_each_when_it_is_asked_for(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        Image.fromarray(np.full((2, 3), ord(name), np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    samples = [Sample(str(tmp_path / f"{name}.png"), None, "normal", "") for name in ("a", "b", "c")]
    samples.append(Sample("of/arrays/0", None, "normal", "", pixels=np.full((2, 3, 3), 7, np.uint8)))
    found = open_readable(samples)
    sample, picture = next(found)
    assert (sample, np.array(picture).tolist()) == (samples[0], [[ord("a")] * 3] * 2)
    (tmp_path / "c.png").unlink()
    ((sample, picture),) = found
    assert (sample, picture.mode, picture.size) == (samples[3], "RGB", (3, 2))
