"""Decoding: an allow-list by content, limits first, and no error but those that name the image."""

import os
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from anomaly.data import Limits, decode, to_array
from anomaly.errors import ImageError, ImageTooLargeError, UndecodableImageError, UnsupportedFormatError
from tests.bad_files import bmp_header, grey_pixels, make_bad_files, png_chunk, png_header, tiff_header

FORMATS = ["PNG", "JPEG", "BMP", "TIFF", "WEBP"]


def encoded(file_format: str, pixels: np.ndarray | None = None) -> bytes:
    buffer = BytesIO()
    Image.fromarray(grey_pixels() if pixels is None else pixels).save(buffer, file_format)
    return buffer.getvalue()


def outcome(source: Path | bytes) -> str:
    try:
        image = decode(source, name="it", limits=Limits(max_pixels=1_000_000))
    except ImageError as error:
        return "error" if str(error).startswith("it: ") else "an error that does not name the image"
    return "ok" if image.mode in ("L", "RGB") else f"mode {image.mode}"


@pytest.fixture(scope="module")
def bad_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("bad")
    return folder, make_bad_files(folder)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("shape", [(5, 9), (5, 9, 3)])
def test_lossless_formats_give_the_very_pixels(tmp_path: Path, file_format: str, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    data = encoded(file_format, pixels)
    path = tmp_path / "image.unknown"
    path.write_bytes(data)
    assert np.array_equal(to_array(decode(data, name="bytes")), pixels)
    assert np.array_equal(to_array(decode(path, name="file")), pixels)


def test_every_bad_file_is_decoded_or_named(
    bad_folder: tuple[Path, dict[str, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    folder, expected = bad_folder
    assert len(expected) >= 60
    assert {name: outcome(folder / name) for name in expected} == expected
    assert capfd.readouterr() == ("", "")


def test_bad_files_decode_alike_in_threads_and_leave_warnings_as_they_were(
    bad_folder: tuple[Path, dict[str, str]],
) -> None:
    folder, expected = bad_folder
    before = list(warnings.filters)

    def result(name: str) -> str:
        try:
            return str(np.asarray(decode(folder / name, name=name)).sum())
        except ImageError as error:
            return str(error)

    alone = [result(name) for name in expected]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(result, list(expected) * 3)) == alone * 3
    assert warnings.filters == before


@pytest.mark.parametrize("header", [png_header, bmp_header, tiff_header])
def test_too_many_pixels_are_refused_by_the_header(header: object) -> None:
    assert callable(header)
    for side in (101, 20_000):
        with pytest.raises(ImageTooLargeError, match=r"it: .*pixels.*scale it down"):
            decode(header(side, side), name="it", limits=Limits(max_pixels=10_000))
    with pytest.raises(UndecodableImageError):  # within the limit, so the missing pixels are noticed
        decode(header(100, 100), name="it", limits=Limits(max_pixels=10_000))


def test_limits_are_inclusive(tmp_path: Path) -> None:
    data = encoded("PNG")
    path = tmp_path / "image.png"
    path.write_bytes(data)
    for source in (data, path):
        decode(source, name="it", limits=Limits(max_bytes=len(data), max_pixels=24 * 24))
        with pytest.raises(ImageTooLargeError, match=f"it: has {len(data)} bytes; at most {len(data) - 1} "):
            decode(source, name="it", limits=Limits(max_bytes=len(data) - 1))
        with pytest.raises(ImageTooLargeError, match="it: has 24 × 24 pixels; at most 575 "):
            decode(source, name="it", limits=Limits(max_pixels=575))


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.touch()
    os.truncate(path, 2**40)
    with pytest.raises(ImageTooLargeError, match=f"it: has {2**40:,} bytes"):
        decode(path, name="it")


def test_pil_settings_are_left_alone() -> None:
    max_pixels, load_truncated = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    decode(encoded("PNG"), name="it")
    assert max_pixels == Image.MAX_IMAGE_PIXELS
    assert load_truncated == ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("file_format", FORMATS)
def test_any_truncation_is_an_error(file_format: str) -> None:
    data = encoded(file_format, np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8))
    for length in range(0, len(data) * 9 // 10, 7):
        with pytest.raises(ImageError, match=r"^it: "):
            decode(data[:length], name="it")


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    file_format=st.sampled_from(FORMATS),
    damages=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
)
def test_damaged_files_raise_nothing_but_image_errors(file_format: str, damages: list[tuple[float, bytes]]) -> None:
    data = bytearray(encoded(file_format))
    for place, replacement in damages:
        at = int(place * len(data))
        data[at : at + len(replacement)] = replacement
    assert outcome(bytes(data)) in ("ok", "error")


def test_png_pixels_with_a_wrong_checksum_are_refused() -> None:
    data = encoded("PNG")
    for at in range(data.index(b"IDAT") + 4, len(data) - 12):
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(UndecodableImageError, match=r"it: .*checksum of a IDAT chunk"):
            decode(damaged, name="it")


@pytest.mark.parametrize(("num_texts", "outcome_"), [(16, "ok"), (17, "error")])
@pytest.mark.parametrize(
    "text", [png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"b")), png_chunk(b"iTXt", b"a" + bytes(5))]
)
def test_png_with_a_multitude_of_packed_texts_is_refused(text: bytes, num_texts: int, outcome_: str) -> None:
    data = encoded("PNG")
    at = data.index(b"IEND") - 4
    assert outcome(data[:at] + text * num_texts + data[at:]) == outcome_


def test_png_with_a_wrong_checksum_of_a_comment_is_no_worse_than_pil_finds_it() -> None:
    data = encoded("PNG")
    comment = png_chunk(b"tEXt", b"Comment\x00hello")[:-4] + bytes(4)
    at = data.index(b"IEND") - 4
    assert np.array_equal(to_array(decode(data[:at] + comment + data[at:], name="it")), grey_pixels())


def test_a_tiff_higher_than_its_strips_is_refused_and_its_size_costs_no_memory() -> None:
    data = bytearray(encoded("TIFF"))
    at = data.index((257).to_bytes(2, "little")) + 8  # ImageLength's value
    assert data[at] == 24
    for height in (25, 2_000_000):
        data[at : at + 4] = height.to_bytes(4, "little")
        with pytest.raises(UndecodableImageError, match=r"it: .*its strips are fewer than its height needs"):
            decode(bytes(data), name="it")


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["L", "RGB", "1", "I;16"])
def test_tiffs_of_many_strips_are_whole(mode: str, compression: str | None) -> None:
    image = Image.fromarray(grey_pixels().astype(np.uint16)) if mode == "I;16" else Image.fromarray(grey_pixels())
    image = image if mode == "I;16" else image.convert(mode)
    buffer = BytesIO()
    image.save(buffer, "TIFF", compression=compression, tiffinfo={278: 5})  # RowsPerStrip
    assert decode(buffer.getvalue(), name="it").size == (24, 24)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"hello", "it begins with the text 'hello'"),
        (b"%PDF-1.7\n%", "it begins with the text '%PDF-1.7'"),
        (b"GIF89a\x01\x00", "it begins with the text 'GIF89a'"),
        (b"PK\x03\x04 zip", "it begins with the bytes 50 4b 03 04 20 7a 69 70"),
        (b"\xff\xfe", "it begins with the bytes ff fe"),
    ],
)
def test_how_another_file_begins_is_said_in_words(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedFormatError) as caught:
        decode(data, name="x")
    assert f"x: is not in an accepted image format ({words}); expected" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("list.csv", "give the images that it lists, or their folder"),
        ("PATHS.TXT", "give the images that it lists, or their folder"),
        ("a.gif", "convert it and try again"),
    ],
)
def test_of_a_list_the_images_are_asked_for(name: str, advice: str) -> None:
    with pytest.raises(UnsupportedFormatError) as caught:
        decode(b"path,label", name=name)
    assert str(caught.value).endswith(f": {advice}")


def test_a_damaged_name_of_a_chunk_does_not_get_into_the_message() -> None:
    data = encoded("PNG").replace(b"IDAT", b"I\0\x1bT")
    with pytest.raises(UndecodableImageError, match="the checksum of a chunk without a name is wrong"):
        decode(data, name="x")


def test_what_python_says_of_itself_is_not_told_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise IndexError("tuple index out of range")

    monkeypatch.setattr("anomaly.data.decoding.formats.png.check_chunks", fail)
    with pytest.raises(UndecodableImageError, match=r"^x: cannot be decoded \(its data are damaged\);"):
        decode(encoded("PNG", np.zeros((4, 4, 4), np.uint8)), name="x")


def test_formats_are_told_by_content() -> None:
    gif = encoded("GIF")
    with pytest.raises(UnsupportedFormatError, match=r"it: .*GIF8.*expected one of JPEG, PNG, WebP, BMP, TIFF and PNM"):
        decode(gif, name="it")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.symlink_to(path.parent / "nowhere"), "is a link to a file that does not exist"),
        (lambda path: path.symlink_to(path), "cannot be read"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: os.mkfifo(path), "is not a regular file"),
        (lambda path: path.touch(), "is empty"),
    ],
)
def test_what_is_no_readable_file_is_named_with_its_reason(tmp_path: Path, make: object, reason: str) -> None:
    assert callable(make)
    path = tmp_path / "it.png"
    make(path)
    with pytest.raises(ImageError, match=f"^it: {reason}"):
        decode(path, name="it")


def test_an_unreadable_file_is_named_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "it.png"
    path.write_bytes(encoded("PNG"))
    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so the mode of the file would not do
    with pytest.raises(ImageError, match=r"^it: cannot be read \(Permission denied\)"):
        decode(path, name="it")


def test_a_path_with_a_zero_byte_is_an_image_error() -> None:
    with pytest.raises(ImageError, match=r"^it: cannot be read"):
        decode(Path("a\0b.png"), name="it")


def test_arrays_of_all_accepted_shapes() -> None:
    grey = grey_pixels()
    colour = np.dstack([grey, grey.T, 255 - grey])
    opaque = np.dstack([colour, np.full_like(grey, 255)])
    assert np.array_equal(to_array(grey), grey)
    assert np.array_equal(to_array(grey[:, :, None]), grey)
    assert np.array_equal(to_array(colour), colour)
    assert np.array_equal(to_array(opaque), colour)
    assert np.array_equal(to_array(grey[::2, ::-1]), grey[::2, ::-1])
    assert to_array(grey).flags.writeable


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4), np.float32), "dtype float32; expected uint8"),
        (np.zeros((4, 4), np.uint16), "dtype uint16; expected uint8"),
        (np.zeros(4, np.uint8), r"shape \(4,\); expected"),
        (np.zeros((3, 4, 4), np.uint8)[:, :, :2], r"shape \(3, 4, 2\); expected"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"shape \(2, 4, 4, 3\); expected"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\); expected"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        to_array(array)


def test_a_lazily_opened_broken_image_is_an_image_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(encoded("PNG", np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8))[:900])
    with Image.open(path) as image, pytest.raises(UndecodableImageError, match=r"broken\.png"):
        to_array(image)
