"""TIFF, combination by combination, against pixels that are computed without PIL."""

from dataclasses import replace
from io import BytesIO
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from anomaly.data import Limits, Pixels, decode
from anomaly.data.decoding import jpeg, tiff
from anomaly.data.decoding.appearance import Remark
from anomaly.data.decoding.decode import look, measure
from anomaly.errors import ImageError, ImageTooLargeError, UndecodableImageError, UnsupportedFormatError
from tests.tiffs import DEFLATE, LZW, NONE, PACKBITS, Fields, Samples, TiffForm, cells_of, tiff_of, tiff_of_pages

HEIGHT, WIDTH = 21, 35
GREY, RGB, PALETTE, CMYK = 1, 2, 3, 5


def picture(bits: int, num_samples: int) -> Samples:
    """Values over the whole range, different in each sample and without symmetry."""
    rows, columns, samples = np.mgrid[:HEIGHT, :WIDTH, :num_samples]
    return np.asarray((rows * 977 + columns * 1361 + samples * 20011) % (1 << bits), np.int64)


def seen(samples: Samples, bits: int) -> Pixels:
    """Scaled to 8 bits; colour of 16 keeps the upper ones."""
    pixels = samples >> 8 if bits == 16 and samples.shape[2] > 1 else np.rint(samples * (255 / ((1 << bits) - 1)))
    return np.asarray(pixels if samples.shape[2] > 1 else pixels[:, :, 0], np.uint8)


def decoded(data: bytes) -> Pixels:
    return np.asarray(decode(data, name="it"))


GRID = [
    TiffForm(bits, photometric, is_planar, compression, order, is_big, tile, rows, has_predictor=predictor)
    for bits, photometric, is_planar, compression, order, is_big, (tile, rows), predictor in product(
        (1, 2, 4, 8, 10, 12, 14, 16),
        (0, GREY, RGB),
        (False, True),
        (NONE, LZW, DEFLATE, PACKBITS),
        "<>",
        (False, True),
        ((None, None), (None, 5), (16, None)),
        (False, True),
    )
    if not (photometric == RGB and bits < 8)
    if not (is_planar and photometric != RGB)
    if not (predictor and (bits not in (8, 16) or compression not in (LZW, DEFLATE)))
    if not (is_big and (compression != NONE or tile))
]


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 14, 16])
def test_every_combination_of_the_allow_list_has_the_right_pixels(bits: int) -> None:
    forms = [form for form in GRID if form.bits == bits]
    assert len(forms) > 20
    for form in forms:
        samples = picture(bits, 3 if form.photometric == RGB else 1)
        stored = (1 << bits) - 1 - samples if form.photometric == 0 else samples
        np.testing.assert_array_equal(decoded(tiff_of(stored, form)), seen(samples, bits), err_msg=str(form))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("depth", [8, 16])
def test_palettes_of_8_and_of_16_bits(bits: int, depth: int) -> None:
    table = np.random.default_rng(bits).integers(1, 256, (1 << bits, 3))
    entries = (table * (257 if depth == 16 else 1)).T.ravel().tolist()
    samples = picture(bits, 1)
    data = tiff_of(samples, TiffForm(bits, PALETTE, fields={320: (3, entries)}))
    np.testing.assert_array_equal(decoded(data), table[samples[:, :, 0]])


def test_cmyk() -> None:
    inks = picture(8, 4)
    inks[:, :, 3] = 0  # no black, so that each ink is one colour's lack
    np.testing.assert_array_equal(decoded(tiff_of(inks, TiffForm(8, CMYK))), 255 - inks[:, :, :3])
    np.testing.assert_array_equal(decoded(tiff_of(inks * 257, TiffForm(16, CMYK))), 255 - inks[:, :, :3])


@pytest.mark.parametrize(("photometric", "num"), [(GREY, 1), (RGB, 3)])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("is_planar", [False, True])
def test_alpha_is_composited_on_white_and_ignored_where_it_is_0(
    photometric: int, num: int, bits: int, is_planar: bool
) -> None:
    colours = picture(8, num)
    for alpha, extra in product((0, 255), (1, 2)):
        alphas = np.full((HEIGHT, WIDTH, 1), alpha)
        alphas[0, 0] = 0
        stored = np.dstack([colours * (alphas > 0) if extra == 1 and alpha else colours, alphas]) * (
            257 if bits == 16 else 1
        )
        data = tiff_of(stored, TiffForm(bits, photometric, is_planar, extra=(extra,)))
        found = look(data, name="it")
        expected = np.where(alphas > 0, colours, 255) if alpha else colours
        np.testing.assert_array_equal(np.asarray(found.image).reshape(expected.shape), expected)
        assert found.remarks == ({Remark.ALPHA_IGNORED} if not alpha else set())


def test_half_transparent_premultiplied_colour() -> None:
    stored = np.dstack([np.full((2, 2, 1), 50), np.full((2, 2, 1), 100)])
    assert decoded(tiff_of(stored, TiffForm(extra=(1,)))).tolist() == [[205, 205]] * 2  # 50 + 255 - 100


def test_bands_beyond_colour_are_ignored_and_said() -> None:
    stored = picture(8, 5)
    found = look(tiff_of(stored, TiffForm(8, RGB, extra=(0, 0))), name="it")
    np.testing.assert_array_equal(np.asarray(found.image), stored[:, :, :3])
    assert found.remarks == {Remark.BANDS_IGNORED}


@pytest.mark.parametrize("orientation", range(10))
def test_orientation(orientation: int) -> None:
    samples = picture(12, 1)
    stored = Image.fromarray(seen(samples, 12))
    exif = Image.Exif()
    exif[274] = orientation
    buffer = BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    by_exif = np.asarray(decode(buffer.getvalue(), name="it"))
    data = tiff_of(samples, TiffForm(12, fields={274: (3, [orientation])}))
    np.testing.assert_array_equal(decoded(data), by_exif)


FULL, SMALL = picture(8, 1), picture(8, 1)[:8, :8]


@pytest.mark.parametrize("field", [{254: (4, [1])}, {255: (3, [2])}, {254: (4, [4])}])
def test_a_first_page_that_is_a_thumbnail_or_a_mask_is_passed_over(field: Fields) -> None:
    data = tiff_of_pages([(SMALL, TiffForm(fields=field)), (FULL, TiffForm())])
    found = look(data, name="it")
    np.testing.assert_array_equal(np.asarray(found.image), FULL[:, :, 0])
    assert not found.remarks


def test_the_first_of_several_pages_is_read_and_said_but_not_a_smaller_one() -> None:
    found = look(tiff_of_pages([(FULL, TiffForm()), (255 - FULL, TiffForm())]), name="it")
    np.testing.assert_array_equal(np.asarray(found.image), FULL[:, :, 0])
    assert found.remarks == {Remark.FIRST_OF_SEVERAL}
    with pytest.raises(UnsupportedFormatError, match=r"it: .*8 × 8 pixels and a later one 35 × 21.*thumbnail"):
        decoded(tiff_of_pages([(SMALL, TiffForm()), (FULL, TiffForm())]))


REFUSED: dict[str, tuple[Samples, TiffForm, str]] = {
    "signed": (picture(16, 1), TiffForm(16, fields={339: (3, [2])}), "signed integers"),
    "float": (picture(8, 1), TiffForm(32, fields={339: (3, [3])}), "floating-point"),
    "32 bits": (picture(8, 1), TiffForm(32), "32 bits"),
    "5 bands": (picture(8, 5), TiffForm(8, extra=(0,) * 4), "5 bands"),
    "bits differ": (picture(8, 3), TiffForm(8, RGB, fields={258: (3, [8, 8, 4])}), r"numbers of bits \(4, 8\)"),
    "no photometric": (FULL, TiffForm(fields={262: (3, [])}), "black or white"),
    "CIELab": (picture(8, 3), TiffForm(8, 8), "CIE"),
    "compression": (FULL, TiffForm(fields={259: (3, [34712])}), "compression 34712"),
    "predictor": (FULL, TiffForm(fields={317: (3, [3])}), "predictor 3"),
    "predictor without compression": (FULL, TiffForm(fields={317: (3, [2])}), "predictor 2"),
    "fill order": (FULL, TiffForm(fields={266: (3, [2])}), "FillOrder 2"),
    "planar": (FULL, TiffForm(fields={284: (3, [3])}), "PlanarConfiguration"),
    "ink set": (picture(8, 4), TiffForm(8, CMYK, fields={332: (3, [2])}), "inks"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_certain_is_refused_by_name(name: str) -> None:
    samples, form, reason = REFUSED[name]
    with pytest.raises(UnsupportedFormatError, match=f"^it: .*{reason}.*(save|scale) "):
        decoded(tiff_of(samples, form))


@pytest.mark.parametrize("compression", [NONE, LZW, DEFLATE, PACKBITS])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_no_cut_strip_is_filled_in(compression: int, bits: int) -> None:
    samples = picture(bits, 1)
    form = TiffForm(bits, compression=compression, rows=8)
    data = tiff_of(samples, form)
    lengths = [len(cell) for cell in cells_of(samples, form)]
    for share in (0.0, 0.5, 0.9):
        cut = [*lengths[:-1], int(lengths[-1] * share)]
        with pytest.raises(UndecodableImageError, match=r"^it: "):
            decoded(tiff_of(samples, replace(form, fields={279: (4, cut)})))
    with pytest.raises(UndecodableImageError, match="strips are fewer"):
        decoded(tiff_of(samples, replace(form, fields={278: (4, [5])})))
    with pytest.raises(ImageError, match=r"^it: "):
        decoded(data[: len(data) // 2])


def test_sizes_are_checked_before_pixels_are_read() -> None:
    data = tiff_of(FULL, TiffForm(fields={256: (4, [100_000]), 257: (4, [100_000])}))
    with pytest.raises(ImageTooLargeError, match="100000 × 100000 pixels"):
        decoded(data)
    with pytest.raises(ImageTooLargeError):
        decode(tiff_of(FULL, TiffForm()), name="it", limits=Limits(max_pixels=HEIGHT * WIDTH - 1))


@pytest.mark.parametrize(
    "field", [{273: (4, [2**32 - 1])}, {279: (4, [2**32 - 1])}, {322: (4, [2**20]), 323: (4, [2**20]), 324: (4, [8])}]
)
def test_offsets_and_tiles_beyond_reason_cost_nothing(field: Fields) -> None:
    with pytest.raises(ImageError, match=r"^it: "):
        decoded(tiff_of(FULL, TiffForm(fields=field)))


def test_directories_without_end_are_refused() -> None:
    entries = b"".join((5000 + i % 60000).to_bytes(2, "little") + bytes(10) for i in range(60_000))
    directory = (60_000).to_bytes(2, "little") + entries
    data = b"II*\0" + (8).to_bytes(4, "little") + directory + (10).to_bytes(4, "little")
    with pytest.raises(ImageError, match=r"^it: "):
        decoded(data)


@pytest.mark.parametrize("compression", ["jpeg", "group4"])
def test_strips_that_pil_decodes_are_whole_or_refused(compression: str) -> None:
    grey = Image.fromarray((np.random.default_rng(0).random((64, 64)) * 255).astype(np.uint8))
    buffer = BytesIO()
    (grey.convert("1") if compression == "group4" else grey).save(buffer, "TIFF", compression=compression)
    data = bytearray(buffer.getvalue())
    expected = np.asarray(Image.open(BytesIO(data)).convert("L"))
    np.testing.assert_array_equal(decoded(bytes(data)), expected)
    at = data.index((279).to_bytes(2, "little")) + 8  # StripByteCounts' value
    count = int.from_bytes(data[at : at + 4], "little")
    for less in (count // 2, 20):
        data[at : at + 4] = (count - less).to_bytes(4, "little")
        with pytest.raises(UndecodableImageError, match=r"^it: "):
            decoded(bytes(data))


def test_only_16_bits_need_a_range() -> None:
    for bits, expected in ((8, None), (12, None), (16, int(picture(16, 1).max()))):
        assert measure(tiff_of(picture(bits, 1), TiffForm(bits)), name="it") == expected


@pytest.mark.parametrize("compression", [LZW, PACKBITS])
def test_libtiff_is_called_for_many_strips_at_once(compression: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def opened(file: BytesIO) -> TiffImagePlugin.TiffImageFile:
        calls.append(len(file.getbuffer()))
        return TiffImagePlugin.TiffImageFile(file)

    monkeypatch.setattr(tiff, "TiffImagePlugin", SimpleNamespace(TiffImageFile=opened))
    samples = picture(8, 3)
    data = tiff_of(samples, TiffForm(8, RGB, compression=compression, rows=1))
    np.testing.assert_array_equal(decoded(data), seen(samples, 8))
    assert len(calls) == 1
    monkeypatch.setattr(tiff, "_LIBTIFF_BYTES", 5 * 3 * WIDTH)
    np.testing.assert_array_equal(decoded(data), seen(samples, 8))
    assert len(calls) == 1 + -(-HEIGHT // 5)


@pytest.mark.parametrize("compression", [NONE, LZW, DEFLATE, PACKBITS])
def test_equal_strips_may_be_stored_once_but_not_the_whole_file_again_and_again(compression: int) -> None:
    even = np.full((HEIGHT, WIDTH, 1), 7)
    counts = [len(cell) for cell in cells_of(even, TiffForm(compression=compression, rows=1))]
    once = TiffForm(compression=compression, rows=1, fields={273: (4, [8] * HEIGHT), 279: (4, counts)})
    np.testing.assert_array_equal(decoded(tiff_of(even, once)), np.full((HEIGHT, WIDTH), 7))
    num_bytes = len(tiff_of(even, once))
    fields: Fields = {273: (4, [8] * HEIGHT), 279: (4, [num_bytes - 8] * HEIGHT)}
    with pytest.raises(UndecodableImageError, match="its strips overlap, and have more bytes than the file"):
        decoded(tiff_of(even, replace(once, fields=fields)))


def test_strips_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "_MAX_CELLS", 20)
    assert len(decoded(tiff_of(FULL[:20], TiffForm(rows=1)))) == 20
    with pytest.raises(UndecodableImageError, match="it has 21 strips; at most 20 are read"):
        decoded(tiff_of(FULL, TiffForm(rows=1)))


def test_a_jpeg_larger_than_its_strip_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = BytesIO()
    Image.new("L", (64, 64)).save(buffer, "TIFF", compression="jpeg")
    data = buffer.getvalue()
    assert decoded(data).shape == (64, 64)
    at = data.index(b"\xff\xc0") + 5
    larger = data[:at] + b"\x00\x50\x00\x50" + data[at + 4 :]  # 80 × 80
    monkeypatch.setattr(jpeg, "_decoded", None)
    with pytest.raises(UndecodableImageError, match="a part of 64 × 64 pixels holds a picture of 80 × 80"):
        decoded(larger)
