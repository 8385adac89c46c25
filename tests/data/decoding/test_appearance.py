"""Pictures are read as a person would see them."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anomaly.data import Pixels, decode
from anomaly.data.decoding.appearance import Remark, see
from anomaly.errors import UnsupportedFormatError
from tests.bad_files import grey_pixels

ORIENTATION = 0x0112
TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
}


def pixels_of(image: Image.Image) -> Pixels:
    return np.asarray(image)


def through_file(image: Image.Image, file_format: str, **options: object) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return decode(buffer.getvalue(), name="test")


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_exif_orientation_is_applied_once(file_format: str, orientation: int) -> None:
    pixels = np.zeros((32, 48), np.uint8)
    pixels[:16, :32] = 255  # blocks of 8 survive JPEG
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if file_format == "WEBP" else {}
    seen = through_file(Image.fromarray(pixels), file_format, exif=exif, **options)
    again = see(seen, name="test").image
    expected = TURNS[orientation](pixels)
    for image in (seen, again):
        assert np.array_equal(pixels_of(image.convert("L")) > 127, expected > 127)


@pytest.mark.parametrize("mode", ["I;16", "RGBA", "P", "CMYK"])
def test_orientation_is_applied_in_every_mode(mode: str) -> None:
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:, :8] = 255
    image = Image.fromarray(pixels.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(pixels).convert(mode)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    seen = through_file(image, "JPEG" if mode == "CMYK" else "PNG", exif=exif)
    assert np.array_equal(pixels_of(seen.convert("L")) > 127, np.rot90(pixels, -1) > 127)


def test_orientation_of_an_image_opened_by_someone_else_is_applied() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    buffer = BytesIO()
    Image.fromarray(grey_pixels()).save(buffer, "PNG", exif=exif)
    image = Image.open(BytesIO(buffer.getvalue()))
    assert np.array_equal(pixels_of(see(image, name="test").image), np.rot90(grey_pixels(), -1))


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=64))
def test_16_bit_greys_keep_their_range(values: list[int]) -> None:
    wide = np.array([values], np.uint16)
    expected = np.rint(wide * (255 / 65535)).astype(np.uint8)
    for file_format in ("PNG", "TIFF"):
        assert np.array_equal(pixels_of(through_file(Image.fromarray(wide), file_format)), expected)


def test_16_bit_big_endian_tiff() -> None:
    wide = Image.frombytes("I;16B", (3, 1), np.array([0, 257, 65535], ">u2").tobytes())
    assert pixels_of(through_file(wide, "TIFF")).tolist() == [[0, 1, 255]]
    assert pixels_of(see(wide, name="test").image).tolist() == [[0, 1, 255]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_where_white_is_zero(dtype: type[np.unsignedinteger]) -> None:
    white = np.iinfo(dtype).max
    buffer = BytesIO()
    Image.fromarray(np.array([[0, white]], dtype)).save(buffer, "TIFF")
    data = buffer.getvalue()
    black_is_zero = b"\x06\x01\x03\x00\x01\x00\x00\x00\x01\x00"  # tag 262, type 3, one value: 1
    assert black_is_zero in data
    inverted = decode(data.replace(black_is_zero, black_is_zero[:8] + b"\x00\x00"), name="test")
    assert pixels_of(inverted).tolist() == [[255, 0]]


def test_transparency_is_composited_on_white() -> None:
    image = Image.new("RGBA", (3, 1))
    for x, alpha in enumerate((0, 51, 255)):
        image.putpixel((x, 0), (100, 0, 0, alpha))
    assert pixels_of(through_file(image, "PNG"))[0].tolist() == [[255, 255, 255], [224, 204, 204], [100, 0, 0]]


def test_grey_with_alpha_stays_grey() -> None:
    image = Image.merge(
        "LA", [Image.fromarray(np.array([[10, 10]], np.uint8)), Image.fromarray(np.array([[0, 255]], np.uint8))]
    )
    seen = through_file(image, "PNG")
    assert (seen.mode, pixels_of(seen).tolist()) == ("L", [[255, 10]])


def test_transparent_palette_entries_are_white() -> None:
    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    expected = [[255, 255, 255], [40, 50, 60], [70, 80, 90]]
    for transparency in (0, b"\x00\xff\xff"):
        assert pixels_of(through_file(palette, "PNG", transparency=transparency))[0].tolist() == expected


def test_colour_key_of_a_grey_image_is_white() -> None:
    image = Image.fromarray(np.array([[0, 7, 9]], np.uint8))
    assert pixels_of(through_file(image, "PNG", transparency=7)).tolist() == [[0, 255, 9]]


def test_colour_key_of_16_bits_is_white_where_all_bits_are_equal() -> None:
    wide = Image.fromarray(np.array([[0, 0x1234, 0x1235]], np.uint16))
    wide.info["transparency"] = 0x1234
    assert pixels_of(see(wide, name="it").image).tolist() == [[0, 255, 18]]
    alone = Image.fromarray(np.full((1, 2), 7 * 257, np.uint16))
    alone.info["transparency"] = 7 * 257
    seen = see(alone, name="it")
    assert pixels_of(seen.image).tolist() == [[7, 7]]
    assert seen.remarks == {Remark.ALPHA_IGNORED}
    colour = Image.new("RGB", (1, 1))
    colour.info["transparency"] = (0, 256, 0)
    with pytest.raises(UnsupportedFormatError, match="it: its transparent colour has 16 bits"):
        see(colour, name="it")


def test_palette_without_transparency_is_colour() -> None:
    palette = Image.fromarray(np.array([[0, 1]], np.uint8))
    palette.putpalette([1, 2, 3, 4, 5, 6])
    assert pixels_of(through_file(palette, "PNG"))[0].tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_one_bit_is_black_and_white(file_format: str) -> None:
    image = Image.fromarray(np.array([[0, 255, 255, 0]], np.uint8)).convert("1")
    seen = through_file(image, file_format)
    assert (seen.mode, pixels_of(seen).tolist()) == ("L", [[0, 255, 255, 0]])


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_is_shown_as_printed(file_format: str) -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow ink
    red, green, blue = pixels_of(through_file(image, file_format))[8, 8]
    assert red > 245
    assert green < 10
    assert blue < 10


def test_the_first_frame_of_several_is_shown() -> None:
    frames = [Image.new("L", (8, 8), grey) for grey in (50, 200, 250)]
    for file_format in ("PNG", "TIFF", "WEBP"):
        options: dict[str, object] = {"lossless": True} if file_format == "WEBP" else {}
        seen = through_file(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
        assert np.unique(pixels_of(seen.convert("L"))).tolist() == [50]


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_pixels_without_a_fixed_range_are_refused(mode: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=f"it: .*mode '{mode}'.*8 or 16 bits"):
        see(Image.new(mode, (2, 2)), name="it")


def test_metadata_do_not_survive_and_the_given_image_is_not_changed() -> None:
    image = Image.fromarray(grey_pixels())
    image.info = {"comment": "kept"}
    assert see(image, name="test").image.info == {}
    assert image.info == {"comment": "kept"}
