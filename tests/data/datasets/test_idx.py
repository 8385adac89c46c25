"""MNIST's IDX files."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from anomaly.data import Pixels, open_dataset, to_array
from anomaly.errors import DataError

LABELS = {"train": [3, 8, 8, 10], "t10k": [8, 3]}


def idx(array: Pixels) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def images_of(prefix: str) -> Pixels:
    num_images = len(LABELS[prefix])
    return np.arange(num_images * 12, dtype=np.uint8).reshape(num_images, 4, 3)


def write_idx(folder: Path, prefixes: tuple[str, ...] = ("train", "t10k"), dot: str = "-", suffix: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    for prefix in prefixes:
        files = {"images-idx3": images_of(prefix), "labels-idx1": np.array(LABELS[prefix], np.uint8)}
        for name, array in files.items():
            data = gzip.compress(idx(array)) if suffix else idx(array)
            (folder / f"{prefix}-{name.replace('-idx', f'{dot}idx')}-ubyte{suffix}").write_bytes(data)
    return folder


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_images_labels_and_splits(tmp_path: Path, dot: str, suffix: str) -> None:
    folder = write_idx(tmp_path / "mini", dot=dot, suffix=suffix)
    data = open_dataset(str(folder), normal=["8", "10"])
    assert data.form == "idx"
    assert [(s.path, s.split, s.label, s.kind) for s in data.samples] == [
        ("mini/train/00000", "train", "anomalous", "3"),
        ("mini/train/00001", "train", "normal", "8"),
        ("mini/train/00002", "train", "normal", "8"),
        ("mini/train/00003", "train", "normal", "10"),
        ("mini/test/00000", "test", "normal", "8"),
        ("mini/test/00001", "test", "anomalous", "3"),
    ]
    assert np.array_equal(np.stack([s.pixels for s in data.samples[:4] if s.pixels is not None]), images_of("train"))
    assert np.array_equal(to_array(data.samples[5].open()), images_of("t10k")[1])


def test_one_split_is_enough(tmp_path: Path) -> None:
    data = open_dataset(str(write_idx(tmp_path / "mini", ("t10k",))), normal=["3"])
    assert {sample.split for sample in data.samples} == {"test"}


@pytest.mark.parametrize(
    ("normal", "message"),
    [
        ([], "which classes are normal.*classes are 3, 8, 10; .*--normal CLASS"),
        (["8", "9", "eight"], "has no class 9, eight, given with --normal; its classes are 3, 8, 10"),
    ],
)
def test_normal_must_name_classes(tmp_path: Path, normal: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(str(write_idx(tmp_path / "mini")), normal=normal)


def test_labels_must_be_there_and_as_many(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "mini")
    labels = folder / "train-labels-idx1-ubyte"
    labels.write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match="train-images-idx3-ubyte has 4 images, train-labels-idx1-ubyte 3 labels"):
        open_dataset(str(folder), normal=["0"])
    labels.unlink()
    with pytest.raises(DataError, match=r"but no train-labels-idx1-ubyte.* beside it"):
        open_dataset(str(folder), normal=["0"])


WHOLE = idx(images_of("train"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "starts with nothing; expected 00000803"),
        (b"\x00\x00\x0d\x03" + WHOLE[4:], "starts with 00000d03; expected 00000803"),
        (idx(np.zeros(4, np.uint8)), "starts with 00000801; expected 00000803"),
        (WHOLE[:10], "it has 0"),
        (WHOLE[:-1], "4 × 4 × 3, which is 48 values, but it has 47"),
        (WHOLE + b"\x00", "4 × 4 × 3, which is 48 values, but it has 49"),
        (WHOLE[:4] + bytes(12), "0 × 0 × 0"),
    ],
)
def test_a_file_must_be_what_its_header_says(tmp_path: Path, data: bytes, message: str) -> None:
    folder = write_idx(tmp_path / "mini")
    (folder / "train-images-idx3-ubyte").write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(str(folder), normal=["8"])
    assert "train-images-idx3-ubyte: " in str(caught.value)


@pytest.mark.parametrize("length", [3, 15, -9, -1])
def test_a_truncated_gz_is_named(tmp_path: Path, length: int) -> None:
    folder = write_idx(tmp_path / "mini", suffix=".gz")
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz: cannot be read \(.*\); fetch it again"):
        open_dataset(str(folder), normal=["8"])


def test_a_damaged_gz_is_named(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "mini", suffix=".gz")
    path = folder / "t10k-images-idx3-ubyte.gz"
    data = path.read_bytes()
    for damaged in (b"no gzip", data[:10] + b"\xff" * 10 + data[20:], data[:-8] + bytes(8)):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz: cannot be read"):
            open_dataset(str(folder), normal=["8"])
