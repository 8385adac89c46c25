"""JPEGs are whole or refused, whatever their scans, colours and subsampling; the pixels are PIL's."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from anomaly.data import decode
from anomaly.data.decoding import jpeg
from anomaly.errors import UndecodableImageError

END = b"\xff\xd9"


@pytest.fixture(autouse=True, params=["simplejpeg", "PIL alone"])
def has_simplejpeg(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """As installed, and as in an exported folder on a machine without simplejpeg."""
    if request.param == "PIL alone":
        monkeypatch.setattr(jpeg, "simplejpeg", None)
    return bool(request.param == "simplejpeg")


def jpeg_of(mode: str, size: int = 48, **options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (size, size, {"L": 1, "RGB": 3, "CMYK": 4}[mode]), np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise[:, :, 0] if mode == "L" else noise, mode).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def by_pil(data: bytes) -> np.ndarray:
    image = Image.open(BytesIO(data))
    return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"optimize": True}])
def test_the_pixels_are_those_of_pil(mode: str, subsampling: int, options: dict[str, object]) -> None:
    for size in (1, 8, 17, 48):
        data = jpeg_of(mode, size, subsampling=subsampling, **options)
        np.testing.assert_array_equal(np.asarray(decode(data, name="it")), by_pil(data))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("is_progressive", [False, True])
def test_any_cut_is_refused_and_any_missing_end_is_not(mode: str, is_progressive: bool) -> None:
    data = jpeg_of(mode, progressive=is_progressive)
    right = by_pil(data)
    for whole in (data[:-2], data[:-2] + bytes(1), data[:-2] + bytes(500), data + b"text", data[:-2] + bytes(9) + END):
        np.testing.assert_array_equal(np.asarray(decode(whole, name="it")), right)
    start = data.index(b"\xff\xda")
    for at in range(start + 20, len(data) - 12, (len(data) - start) // 20):
        for cut in (data[:at], data[:at] + END, data[:at] + END + b"text", data[:at] + bytes(len(data) - at) + END):
            with pytest.raises(UndecodableImageError, match=r"^it: "):
                decode(cut, name="it")


def test_every_scan_of_a_progressive_picture_must_be_there() -> None:
    data = jpeg_of("RGB", progressive=True)
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for scan in scans[1:]:
        tables = data.rfind(b"\xff\xc4", 0, scan)
        between = tables if not data[tables:scan].count(b"\xff\xda") else scan
        with pytest.raises(UndecodableImageError, match=r"^it: "):
            decode(data[:between] + END, name="it")


def test_an_end_inside_the_metadata_is_not_the_picture_s() -> None:
    """As in the thumbnail of a camera."""
    inner = b"thumbnail\0" + jpeg_of("L", 8)
    data = jpeg_of("RGB")
    with_thumbnail = data[:2] + b"\xff\xe5" + (len(inner) + 2).to_bytes(2) + inner + data[2:]
    for whole in (with_thumbnail, with_thumbnail[:-2], with_thumbnail[:-2] + bytes(100)):
        np.testing.assert_array_equal(np.asarray(decode(whole, name="it")), by_pil(data))
    with pytest.raises(UndecodableImageError, match=r"^it: "):
        decode(with_thumbnail[:-300] + END, name="it")


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_part_that_is_overwritten_is_refused_where_the_end_is_not_used(mode: str) -> None:
    data = jpeg_of(mode, 96)
    start = data.index(b"\xff\xda") + 20
    num_refused, places = 0, range(start, len(data) - 200, (len(data) - start) // 10)
    for at in places:
        try:
            decode(data[:at] + b"\xa5" * 100 + data[at + 100 :], name="it")
        except UndecodableImageError:
            num_refused += 1
    assert num_refused > len(places) // 2


@pytest.mark.parametrize("colour", [0, 90, 255])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_a_picture_of_one_colour_is_whole(colour: int, mode: str, options: dict[str, object]) -> None:
    for size in (1, 8, 40):
        buffer = BytesIO()
        Image.new("RGB", (size, size), (colour, 90, 10)).convert(mode).save(buffer, "JPEG", **options)
        assert decode(buffer.getvalue(), name="it").size == (size, size)


def ending_in_zeros(mode: str, even_rows: int, colour: int) -> bytes:
    """Waves above an even part, as below a part on a black ground.

    An encoder fills its last byte with ones. So a scan ends in zeros only where its codes fill the byte.
    """
    y, x = np.mgrid[:128, :128]
    for period in range(5, 60):
        waves = (127 + 60 * np.sin(y / 9) + 60 * np.sin(x / period)).astype(np.uint8)
        waves[128 - even_rows :] = colour
        buffer = BytesIO()
        Image.fromarray(waves).convert(mode).save(buffer, "JPEG", quality=75, optimize=True)
        if buffer.getvalue().endswith(bytes(8) + END):
            return buffer.getvalue()
    raise AssertionError("none of them ends so")


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("colour", [0, 128, 255])
def test_an_even_part_that_optimised_tables_end_in_zeros_is_whole(mode: str, colour: int, has_simplejpeg: bool) -> None:
    data = ending_in_zeros(mode, 112, colour)
    if has_simplejpeg or mode == "L":
        np.testing.assert_array_equal(np.asarray(decode(data, name="it")), by_pil(data))
    scans, start = data[:-2], data.index(b"\xff\xda") + 16
    for wrong in (scans[:-1], scans[:-8], scans + bytes(1), scans + bytes(8)):  # codes are missing, or too many
        with pytest.raises(UndecodableImageError, match=r"^it: "):
            decode(wrong + END, name="it")
    for at in range(start, len(scans.rstrip(b"\0")) - 4):  # zeros in the place of other codes, a few bytes of them
        with pytest.raises(UndecodableImageError, match=r"^it: "):
            decode(scans[:at] + bytes(len(scans) - at) + END, name="it")


def test_a_picture_of_one_colour_with_optimised_tables_is_whole(has_simplejpeg: bool) -> None:
    for side in (8, 64, 100):
        buffer = BytesIO()
        Image.new("L", (side, side), 40).save(buffer, "JPEG", optimize=True)
        if has_simplejpeg or side == 8:
            assert decode(buffer.getvalue(), name="it").size == (side, side)


def test_damaged_metadata_are_passed_over_in_silence() -> None:
    nonsense = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(20)
    for mode in ("L", "CMYK"):
        np.testing.assert_array_equal(
            np.asarray(decode(jpeg_of(mode, exif=nonsense), name="it")), by_pil(jpeg_of(mode))
        )


def test_a_phone_s_file_of_several_pictures_is_its_first() -> None:
    buffer = BytesIO()
    frames = [Image.new("RGB", (side, side), (side, 90, 10)) for side in (64, 32)]
    frames[0].save(buffer, "MPO", save_all=True, append_images=frames[1:])
    assert decode(buffer.getvalue(), name="it").size == (64, 64)


def test_a_damaged_orientation_is_refused_and_one_that_turns_nothing_is_not() -> None:
    exif = Image.Exif()
    exif[274] = 1
    data = jpeg_of("RGB", exif=exif.tobytes())
    np.testing.assert_array_equal(np.asarray(decode(data, name="it")), by_pil(data))
    header = data.index(b"Exif\0\0") + 6
    with pytest.raises(UndecodableImageError, match=r"^it: "):
        decode(data[:header] + b"OM" + data[header + 2 :], name="it")


@pytest.mark.parametrize("change", ["paste", "putpixel"])
def test_a_picture_that_is_changed_leaves_the_next_as_it_is(change: str) -> None:
    """Its pixels are the decoder's own memory."""
    data = jpeg_of("RGB")
    image = decode(data, name="it")
    copy = image.copy()
    if change == "paste":
        image.paste((0, 0, 0), (0, 0, 2, 2))
    else:
        image.putpixel((0, 0), (1, 2, 3))
    assert image != copy
    np.testing.assert_array_equal(np.asarray(copy), by_pil(data))


def test_scans_without_end_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = BytesIO()
    Image.new("L", (64, 64), 90).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    start = data.index(b"\xff\xda")
    first = data[start : data.index(b"\xff", start + 2)]
    monkeypatch.setattr(jpeg, "_decoded", None)
    with pytest.raises(UndecodableImageError, match="it has more than 256 scans"):
        decode(data[:start] + first * 300 + data[start:], name="it")
