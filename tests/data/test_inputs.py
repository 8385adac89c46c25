"""Inputs of `anomaly score`: every image gets a place, and a failing one harms no other."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.config import PreprocessConfig
from anomaly.data import Limits, decode, decode_all, expand_inputs, preprocess
from tests.bad_files import make_bad_files

CONFIG = PreprocessConfig(size=16, channels=3)


def write_image(path: Path, grey: int, shape: tuple[int, int] = (6, 9)) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, grey, np.uint8)).save(path)
    return str(path)


def test_named_files_keep_their_order_and_folders_are_expanded_in_place(tmp_path: Path) -> None:
    last, first = write_image(tmp_path / "z.png", 1), write_image(tmp_path / "a.png", 2)
    inside = [write_image(tmp_path / "folder" / name, 3) for name in ("1.png", "2.bmp", "sub/0.png")]
    (tmp_path / "folder" / "notes.txt").touch()
    (tmp_path / "folder" / "sub" / "more.csv").touch()
    named = [last, str(tmp_path / "folder"), first, last]
    assert expand_inputs(named) == ([last, *inside, first, last], 2)


def test_whatever_is_named_has_a_place(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    (tmp_path / "text.txt").touch()
    named = [str(tmp_path / name) for name in ("missing.png", "text.txt", "empty")]
    paths, num_skipped = expand_inputs(named)
    assert (paths, num_skipped) == (named, 1)
    errors = [decoded.error or "" for decoded in decode_all(paths, CONFIG)]
    assert [error.removeprefix(path) for error, path in zip(errors, paths, strict=True)] == [
        ": does not exist; check the path",
        ": is empty (0 bytes); expected one of JPEG, PNG, WebP, BMP and TIFF",
        ": is a folder; expected an image file",
    ]


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_bad_files_get_a_reason_and_their_neighbours_their_pixels(tmp_path: Path, workers: int | None) -> None:
    expected = make_bad_files(tmp_path / "mixed")
    for index in range(50):
        write_image(tmp_path / "mixed" / f"good-{index:02d}.png", index)
        expected[f"good-{index:02d}.png"] = "ok"
    paths, _ = expand_inputs([str(tmp_path / "mixed")])
    results = list(decode_all(paths, CONFIG, workers=workers))
    assert [result.path for result in results] == paths
    actual = {Path(result.path).name: "ok" if result.error is None else "error" for result in results}
    assert actual == expected
    for result in results:
        assert (result.pixels is None) == (result.error is not None)
        if result.pixels is not None:
            image = decode(Path(result.path), name="again")
            assert np.array_equal(result.pixels, preprocess(image, CONFIG))
            assert (result.height, result.width) == (image.height, image.width)


def test_limits_hold_for_inputs(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / "a.png", 1), write_image(tmp_path / "b.png", 1, shape=(6, 10))]
    fits, large = decode_all(paths, CONFIG, limits=Limits(max_pixels=54))
    assert fits.error is None
    assert "60" not in (large.error or "")
    assert "10 × 6 pixels; at most 54" in (large.error or "")


def test_nothing_gives_nothing() -> None:
    assert expand_inputs([]) == ([], 0)
    assert list(decode_all([], CONFIG)) == []
