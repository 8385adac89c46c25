"""The one reader: the same pixels whatever an image comes as, and a failing one harms no other."""

import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from anomaly.config import PreprocessConfig, Resize
from anomaly.data import Limits, Picture, Sample, Source, decode, expand_inputs, preprocess, read, read_all, reader
from anomaly.errors import ImageError, ImageTooLargeError
from tests.bad_files import make_bad_files

CONFIG = PreprocessConfig(size=16, channels=3)
SHAPES = {"L": (6, 9), "RGB": (6, 9, 3), "RGBA": (6, 9, 4)}


def write_image(path: Path, grey: int, shape: tuple[int, int] = (6, 9)) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, grey, np.uint8)).save(path)
    return str(path)


def from_files(paths: list[str]) -> list[tuple[str, Source]]:
    return [(path, Path(path)) for path in paths]


@pytest.mark.parametrize("mode", SHAPES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", Resize)
def test_an_image_has_the_same_pixels_as_path_bytes_pil_image_and_array(
    mode: str, channels: Literal[1, 3], resize: Resize, tmp_path: Path
) -> None:
    """Law 3."""
    array = np.random.default_rng(0).integers(0, 256, SHAPES[mode], dtype=np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(array).save(path)
    config = PreprocessConfig(size=8, channels=channels, resize=resize, scale=1)
    sources: list[Source] = [path, path.read_bytes(), Image.open(path), Image.fromarray(array), array]
    expected = preprocess(decode(path, name="x"), config)
    one_by_one = [read(source, config, name="x") for source in sources]
    together = list(read_all((("x", source) for source in sources), config))
    for picture in one_by_one + together:
        assert isinstance(picture, Picture)
        np.testing.assert_array_equal(picture.pixels, expected)
        assert (picture.height, picture.width) == (6, 9)


def test_what_metadata_say_of_an_image_counts_however_it_comes() -> None:
    """A photograph taken sideways."""
    stream = BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.arange(54, dtype=np.uint8).reshape(6, 9)).save(stream, "png", exif=exif)
    as_bytes = read(stream.getvalue(), CONFIG, name="x")
    as_image = read(Image.open(stream), CONFIG, name="x")
    np.testing.assert_array_equal(as_bytes.pixels, as_image.pixels)
    assert (as_bytes.height, as_bytes.width) == (as_image.height, as_image.width) == (9, 6)


@pytest.mark.parametrize(
    "source",
    [
        Path("no such file.png"),
        b"nonsense",
        np.zeros((3, 3)),
        np.zeros((3, 3, 2), np.uint8),
        np.zeros((0, 3), np.uint8),
        Image.new("F", (3, 3)),
    ],
    ids=["path", "bytes", "floats", "two channels", "nothing", "PIL mode F"],
)
def test_an_error_names_the_image_once(source: Source) -> None:
    with pytest.raises(ImageError, match=r"^image 7: ") as told:
        read(source, CONFIG, name="image 7")
    assert str(told.value).count("image 7") == 1
    (error,) = read_all([("image 7", source)], CONFIG)
    assert isinstance(error, ImageError)
    assert (type(error), str(error)) == (type(told.value), str(told.value))


def test_an_error_among_the_results_keeps_no_file_in_memory(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    (error,) = read_all([("x", tmp_path / "x.png")], CONFIG)
    assert isinstance(error, ImageError)
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_bad_files_get_a_reason_and_their_neighbours_their_pixels(tmp_path: Path, workers: int | None) -> None:
    expected = make_bad_files(tmp_path / "mixed")
    for index in range(50):
        write_image(tmp_path / "mixed" / f"good-{index:02d}.png", index)
        expected[f"good-{index:02d}.png"] = "ok"
    paths, _ = expand_inputs([str(tmp_path / "mixed")])
    results = list(read_all(from_files(paths), CONFIG, workers=workers))
    actual = {
        Path(path).name: "ok" if isinstance(result, Picture) else "error"
        for path, result in zip(paths, results, strict=True)
    }
    assert actual == expected
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, Picture):
            image = decode(Path(path), name="again")
            assert np.array_equal(result.pixels, preprocess(image, CONFIG))
            assert (result.height, result.width) == (image.height, image.width)
        else:
            assert str(result).startswith(path)


def test_whatever_is_named_has_a_reason(tmp_path: Path) -> None:
    for name in ("empty", "notes", "images"):
        (tmp_path / name).mkdir()
    (tmp_path / "text.txt").touch()
    (tmp_path / "notes" / "notes.txt").touch()
    write_image(tmp_path / "images" / "1.png", 1)
    paths = [str(tmp_path / name) for name in ("missing.png", "text.txt", "empty", "notes", "images")]
    errors = [str(result) for result in read_all(from_files(paths), CONFIG)]
    assert [error.removeprefix(path) for error, path in zip(errors, paths, strict=True)] == [
        ": does not exist; check the path",
        ": is empty (0 bytes); expected one of JPEG, PNG, WebP, BMP, TIFF and PNM",
        ": is a folder that holds no images; give one that holds some",
        ": is a folder that holds no images; give one that holds some",
        ": is a folder; expected an image file",
    ]


def test_limits_hold_for_files_and_bytes(tmp_path: Path) -> None:
    small, large = (Path(write_image(tmp_path / f"{width}.png", 1, shape=(6, width))) for width in (9, 10))
    limits = Limits(max_pixels=54)
    sources: list[tuple[str, Source]] = [("a", small), ("b", large), ("c", large.read_bytes())]
    fits, *too_large = read_all(sources, CONFIG, limits=limits)
    assert isinstance(fits, Picture)
    for result in too_large:
        assert isinstance(result, ImageTooLargeError)
        assert "10 × 6 pixels; at most 54" in str(result)
    with pytest.raises(ImageTooLargeError):
        read(large, CONFIG, name="b", limits=limits)


def test_sources_are_taken_as_they_are_needed_and_no_thread_is_left() -> None:
    num_taken = 0

    def sources() -> Iterator[tuple[str, Source]]:
        nonlocal num_taken
        for _ in range(10_000):
            num_taken += 1
            yield "x", np.zeros((4, 4), np.uint8)

    pictures = read_all(sources(), CONFIG, workers=2)
    next(pictures)
    assert num_taken <= 2 * 4 * 16
    pictures.close()  # type: ignore[attr-defined]  # an iterator to its users, a generator in fact
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_a_sample_is_read_from_its_file_or_its_pixels(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", 5)
    in_file, in_memory = Sample(path, None, None, ""), Sample("a", None, None, "", np.full((6, 9), 5, np.uint8))
    assert in_file.source == Path(path)
    assert in_memory.source is in_memory.pixels
    pictures = [read(sample.source, CONFIG, name=sample.path) for sample in (in_file, in_memory)]
    np.testing.assert_array_equal(pictures[0].pixels, pictures[1].pixels)


def test_nothing_gives_nothing() -> None:
    assert list(read_all([], CONFIG)) == []


def test_small_pictures_of_many_sizes_have_the_pixels_that_they_have_alone() -> None:
    """Those of one size are preprocessed together."""
    rng = np.random.default_rng(3)
    shapes = [(28, 28), (28, 28, 3), (30, 28), (16, 16), (1, 9), (300, 200), (28, 28)] * 7
    sources = [(str(i), rng.integers(0, 256, shape, dtype=np.uint8)) for i, shape in enumerate(shapes)]
    sources.insert(9, ("broken", np.zeros((3, 3, 2), np.uint8)))
    for resize in Resize:
        config = PreprocessConfig(size=16, channels=1, resize=resize, scale=1)
        together = list(read_all(iter(sources), config, workers=1))
        assert isinstance(together.pop(9), ImageError)
        for (name, source), picture in zip(sources[:9] + sources[10:], together, strict=True):
            alone = read(source, config, name=name)
            assert isinstance(picture, Picture)
            assert (picture.height, picture.width) == (alone.height, alone.width) == source.shape[:2]
            np.testing.assert_array_equal(picture.pixels, alone.pixels)


def test_slow_pictures_go_one_by_one_and_quick_ones_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a few large photographs keep all threads busy."""
    seconds, tasks = {"quick": 0.0001, "slow": 0.5}, list[list[str]]()
    clock = 0.0

    def read_chunk(chunk: list[tuple[str, Source]], **_: object) -> list[Picture | ImageError]:
        nonlocal clock
        tasks.append([name for name, _ in chunk])
        clock += sum(seconds[name] for name, _ in chunk)
        return [ImageError(name) for name, _ in chunk]

    monkeypatch.setattr(reader, "_read_chunk", read_chunk)
    monkeypatch.setattr(reader, "map_ahead", lambda function, items, workers: map(function, items))
    monkeypatch.setattr("anomaly.data.reader.time.perf_counter", lambda: clock)
    names = ["quick"] * 40 + ["slow"] * 40
    told = [str(each) for each in read_all(((name, b"") for name in names), CONFIG)]
    assert told == names
    assert [len(task) for task in tasks[:3]] == [1, 16, 16]
    assert {len(task) for task in tasks[-8:]} == {1}
