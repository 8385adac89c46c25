"""The pixel store: each image once, memory flat, broken ones named."""

import errno
import hashlib
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.config import PreprocessConfig
from anomaly.data import Limits, PixelStore, Sample, preprocess, reader
from anomaly.data.decoding.appearance import Seen
from anomaly.data.decoding.decode import look
from anomaly.errors import DataError, StorageError

CONFIG = PreprocessConfig(size=8)


def write_samples(folder: Path, num_images: int) -> list[Sample]:
    rng = np.random.default_rng(0)
    samples = []
    for index in range(num_images):
        path = folder / f"{index:03d}.png"
        Image.fromarray(rng.integers(0, 256, (5, 12), np.uint8)).save(path)
        samples.append(Sample(str(path), None, "normal", ""))
    return samples


def test_pixels_are_those_of_preprocess_in_the_order_of_the_samples(tmp_path: Path) -> None:
    samples = write_samples(tmp_path, 75)
    store = PixelStore.build(samples, CONFIG, tmp_path / "pixels")
    assert np.shape(store.pixels) == (75, 1, 8, 8)
    assert store.paths == tuple(sample.path for sample in samples)
    assert store.errors == ()
    for sample, pixels in zip(samples, store.pixels, strict=True):
        assert np.array_equal(pixels, preprocess(sample.open(), CONFIG))


def test_the_map_is_on_disk_and_read_only(tmp_path: Path) -> None:
    store = PixelStore.build(write_samples(tmp_path, 3), CONFIG, tmp_path / "pixels")
    assert isinstance(store.pixels, np.memmap)
    assert not store.pixels.flags.writeable
    assert (tmp_path / "pixels").read_bytes() == store.pixels.tobytes()


def test_broken_images_are_left_out_and_named(tmp_path: Path) -> None:
    samples = write_samples(tmp_path, 40)
    for index in (0, 17, 39):
        Path(samples[index].path).write_bytes(b"nonsense")
    num_seen = 0

    def count() -> None:
        nonlocal num_seen
        num_seen += 1

    store = PixelStore.build(samples, CONFIG, tmp_path / "pixels", on_image=count)
    assert num_seen == 40
    assert len(store.pixels) == len(store.paths) == 37
    assert [path for path, _ in store.errors] == [samples[index].path for index in (0, 17, 39)]
    assert all(reason.startswith(path) for path, reason in store.errors)
    assert np.array_equal(store.pixels[-1], preprocess(samples[38].open(), CONFIG))


def test_each_image_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    num_decoded: Counter[str] = Counter()

    def count(source: Path, *, name: str, limits: Limits, value_range: int) -> Seen:
        num_decoded[name] += 1
        return look(source, name=name, limits=limits, value_range=value_range)

    monkeypatch.setattr(reader, "look", count)
    samples = write_samples(tmp_path, 20)
    PixelStore.build(samples, CONFIG, tmp_path / "pixels").fingerprint()
    assert num_decoded == Counter({sample.path: 1 for sample in samples})


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    samples = [Sample(str(tmp_path / name), None, "normal", "") for name in ("a.png", "b.png")]
    with pytest.raises(DataError, match=r"none of the 2 images can be used; the first: .*a\.png: does not exist"):
        PixelStore.build(samples, CONFIG, tmp_path / "pixels")
    with pytest.raises(DataError, match="none of the 0 images"):
        PixelStore.build([], CONFIG, tmp_path / "pixels")
    with pytest.raises(DataError, match=r"the only test image cannot be used; the first: .*a\.png: does not exist"):
        PixelStore.build(samples[:1], CONFIG, tmp_path / "pixels", what="test image")


def test_images_in_memory_need_no_file(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    store = PixelStore.build([Sample("memory/0", None, "normal", "", pixels)], CONFIG, tmp_path / "pixels")
    assert np.array_equal(store.pixels[0][0], pixels)


def test_the_fingerprint_is_of_shape_and_pixels(tmp_path: Path) -> None:
    samples = write_samples(tmp_path, 4)
    store = PixelStore.build(samples, CONFIG, tmp_path / "pixels")
    assert store.fingerprint() == hashlib.sha256(b"(4, 1, 8, 8)" + np.asarray(store.pixels).tobytes()).hexdigest()
    again = PixelStore.build(samples, CONFIG, tmp_path / "again")
    swapped = PixelStore.build(samples[::-1], CONFIG, tmp_path / "swapped")
    assert again.fingerprint() == store.fingerprint() != swapped.fingerprint()


@pytest.mark.skipif(sys.platform != "linux", reason="room is taken ahead where the system can")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_too_little_room_is_said_before_any_image_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int, offset: int, length: int) -> None:
        raise OSError(number, os.strerror(number))

    samples = write_samples(tmp_path, 20)
    read: list[None] = []
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(StorageError, match=rf"into {tmp_path}: .*\(1,280 bytes are needed, .* set .* TMPDIR to"):
        PixelStore.build(samples, CONFIG, tmp_path / "pixels", on_image=lambda: read.append(None))
    assert read == []


@pytest.mark.skipif(sys.platform != "linux", reason="room is taken ahead where the system can")
def test_a_disk_that_cannot_take_room_ahead_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert len(PixelStore.build(write_samples(tmp_path, 3), CONFIG, tmp_path / "pixels").pixels) == 3
