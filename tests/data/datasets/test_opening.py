"""DATA is recognised; the built-in digits; the public names."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import anomaly.data
from anomaly.data import open_dataset, to_array
from anomaly.errors import DataError, UsageError
from tests.digit_images import normals, write_images


def test_digits_are_scaled_and_split_by_class() -> None:
    data = open_dataset("digits", normal=["8"])
    images, labels = load_digits(return_X_y=True)
    assert (data.form, len(data.samples), len(data.left_out)) == ("digits", 1797, 0)
    assert [sample.kind for sample in data.samples] == [str(label) for label in labels]
    for index in (0, 700, 1796):
        expected = np.rint(images[index].reshape(8, 8) / 16 * 255)
        assert np.array_equal(to_array(data.samples[index].open()), expected)
    for digit, num_images in Counter(labels.tolist()).items():
        of_class = [sample for sample in data.samples if sample.kind == str(digit)]
        assert sum(sample.split == "test" for sample in of_class) == num_images // 5
        assert {sample.label for sample in of_class} == {"normal" if digit == 8 else "anomalous"}


def test_digits_are_named_by_split_and_place() -> None:
    samples = open_dataset("digits", normal=["0"]).samples
    assert (samples[12].path, samples[12].split) == ("digits/train/00012", "train")
    fifth_zero = [index for index, digit in enumerate(load_digits().target) if digit == 0][4]
    assert next(s.path for s in samples if s.kind == "0" and s.split == "test") == f"digits/test/{fifth_zero:05d}"


@pytest.mark.parametrize("normal", ["10", "0", 0, (0,), ["0", 1], [b"0"], None])
def test_normal_is_a_list_of_texts_and_no_text(normal: Any, tmp_path: Path) -> None:
    write_images(tmp_path / "10", normals()[:2])
    write_images(tmp_path / "0", normals()[:2])
    for data in ("digits", str(tmp_path)):
        with pytest.raises(UsageError, match=r"normal is .*; expected a list or tuple of the names of classes"):
            open_dataset(data, normal=normal)


def test_normal_may_be_any_collection_of_texts() -> None:
    expected = open_dataset("digits", normal=["1", "2"])
    assert open_dataset("digits", normal=np.array(["1", "2"])) == expected  # type: ignore[arg-type]


def test_digits_need_normal() -> None:
    with pytest.raises(DataError, match=r"digits: which classes are normal.*--normal CLASS"):
        open_dataset("digits")


def test_a_folder_called_digits_is_written_with_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    Image.new("L", (4, 4)).save("digits/a.png")
    assert open_dataset("digits", normal=["1"]).form == "digits"
    assert open_dataset("./digits").form == "folder"


@pytest.mark.parametrize(("name", "found"), [("missing", "does not exist"), ("image.png", "is a file")])
def test_what_is_no_data(tmp_path: Path, name: str, found: str) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "image.png")
    with pytest.raises(DataError, match=f"{name}: {found}; expected a folder of images"):
        open_dataset(str(tmp_path / name))


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"cannot be read \(.*Permission denied.*check the permissions"):
        open_dataset(str(tmp_path))


def test_public_names() -> None:
    assert sorted(anomaly.data.__all__) == anomaly.data.__all__
    assert all(hasattr(anomaly.data, name) for name in anomaly.data.__all__)
