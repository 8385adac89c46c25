"""Masks by the values that their file stores, in every layout of TIFF, 16-bit PNG, BMP and PNM that is read."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data.masks.coding import read_mask
from anomaly.errors import ImageError
from tests.bad_files import png_chunk
from tests.tiffs import DEFLATE, LZW, Fields, Samples, TiffForm, tiff_of, tiff_of_pages

HEIGHT, WIDTH = 20, 24
DEFECT = np.zeros((HEIGHT, WIDTH), np.bool_)
DEFECT[3:12, 4:15] = True
ONES: Samples = DEFECT[:, :, None].astype(np.int64)
HEAD = b"%d %d\n" % (WIDTH, HEIGHT)


def rgb(value: int) -> Samples:
    return np.repeat(ONES * value, 3, axis=2)


def red(value: int) -> Samples:
    return np.dstack([ONES * value, ONES * 0, ONES * 0])


def palette(*entries: int) -> Fields:
    """Greys: entry by entry, then black."""
    return {320: (3, (list(entries) + [0] * (256 - len(entries))) * 3)}


def png(values: Samples, colour_type: int, *chunks: bytes) -> bytes:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values.reshape(HEIGHT, -1))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels


def bmp(bits: int, indices: Samples) -> bytes:
    """A palette of black and white."""
    table = b"\0\0\0\0\xff\xff\xff\0"
    packed = (indices[:, ::2] << 4 | indices[:, 1::2]) if bits == 4 else indices
    body = packed[::-1].astype(np.uint8).tobytes()
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, bits, 0, len(body), 0, 0, 2, 0)
    return struct.pack("<2sIHHI", b"BM", 62 + len(body), 0, 0, 62) + info + table + body


FILES: dict[str, bytes] = {
    **{
        f"TIFF, RGB of 16 bits, {name}, {value}": tiff_of(draw(value), TiffForm(16, 2, is_planar=planar, order=order))
        for name, draw in (("grey", rgb), ("red", red))
        for planar in (False, True)
        for order in ("<", ">")
        for value in (1, 255, 65535)
    },
    **{
        f"TIFF, grey of {bits} bits, {value}": tiff_of(ONES * value, TiffForm(bits))
        for bits in (1, 2, 4, 8, 10, 12, 14, 16)
        for value in (1, (1 << bits) - 1)
    },
    **{
        f"TIFF, {bits} bits, 0 is white": tiff_of((1 - ONES) * ((1 << bits) - 1), TiffForm(bits, 0))
        for bits in (1, 4, 8, 12, 16)
    },
    "TIFF, LZW, tiles": tiff_of(ONES, TiffForm(16, compression=LZW, tile=16)),
    "TIFF, predictor": tiff_of(ONES, TiffForm(16, compression=DEFLATE, has_predictor=True)),
    "TIFF, palette of 16 bits": tiff_of(ONES, TiffForm(8, 3, fields=palette(0, 65535))),
    "TIFF, palette of 8 bits": tiff_of(ONES, TiffForm(8, 3, fields=palette(0, 255))),
    "TIFF, palette of 8 bits, white first": tiff_of(1 - ONES, TiffForm(8, 3, fields=palette(255, 0))),
    "TIFF, palette of 8 bits, dark": tiff_of(ONES, TiffForm(8, 3, fields=palette(0, 1))),
    "TIFF, alpha": tiff_of(np.dstack([rgb(0), ONES * 65535]), TiffForm(16, 2, extra=(2,))),
    "TIFF, a thumbnail, then the mask": tiff_of_pages(
        [((1 - ONES)[::4, ::4], TiffForm(fields={254: (4, [1])})), (ONES, TiffForm())]
    ),
    "TIFF, turned": tiff_of(np.rot90(ONES).copy(), TiffForm(fields={274: (3, [6])})),
    "PNG, RGB of 16 bits, 0 and 1": png(rgb(1), 2),
    "PNG, RGB of 16 bits, one channel": png(red(200), 2),
    "PNG, grey and alpha of 16 bits": png(np.dstack([ONES * 0 + 9, ONES]), 4),
    "PNG, RGB and alpha of 16 bits": png(np.dstack([rgb(1), ONES * 0 + 65535]), 6),
    "PNG, grey of 16 bits, a transparent ground": png(300 + ONES, 0, png_chunk(b"tRNS", b"\x01\x2c")),
    "PNG, RGB of 16 bits, a transparent ground": png(300 + rgb(1), 2, png_chunk(b"tRNS", b"\x01\x2c" * 3)),
    "BMP, 8 bits of two colours": bmp(8, ONES[:, :, 0]),
    "BMP, 4 bits of two colours": bmp(4, ONES[:, :, 0]),
    "PPM, 16 bits, 0 and 1": b"P6 " + HEAD + b"65535\n" + rgb(1).astype(">u2").tobytes(),
    "PGM whose white is 5, 0 and 1": b"P5 " + HEAD + b"5\n" + ONES.astype(np.uint8).tobytes(),
    "PBM": b"P4 " + HEAD + np.packbits(~DEFECT, axis=1).tobytes(),
}


@pytest.mark.parametrize("name", FILES)
def test_the_mask_is_what_was_drawn(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mask"
    path.write_bytes(FILES[name])
    np.testing.assert_array_equal(read_mask(path), DEFECT)


def pages(file_format: str) -> bytes:
    first, second = (Image.fromarray((DEFECT * value).astype(np.uint8)).convert("RGB") for value in (255, 0))
    buffer = BytesIO()
    options: dict[str, object] = {"lossless": True} if file_format == "WEBP" else {}
    first.save(buffer, file_format, save_all=True, append_images=[second], **options)
    return buffer.getvalue()


def see_through_webp() -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.dstack([rgb(0) + 255, ONES * 255]).astype(np.uint8)).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


REFUSED: dict[str, tuple[bytes, str]] = {
    **{f"several in a {name}": (pages(name), "several pages or frames") for name in ("TIFF", "PNG", "WEBP")},
    "several in a PBM": ((b"P4 " + HEAD + np.packbits(DEFECT, axis=1).tobytes()) * 2, "several pages or frames"),
    "a fourth band": (tiff_of(np.dstack([rgb(0), ONES]), TiffForm(8, 2, extra=(0,))), "more bands than colour"),
    "0 and 255 of 16 bits where 0 is white": (tiff_of(ONES * 255, TiffForm(16, 0)), "no pixel of this mask is 0"),
    "a transparent ground in WebP": (see_through_webp(), "has transparency, and WebP"),
    "inks of 16 bits": (tiff_of(np.repeat(ONES, 4, axis=2), TiffForm(16, 5)), "inks of 16 bits"),
    "signed": (tiff_of(ONES, TiffForm(16, fields={339: (3, [2])})), "signed integers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_certain_is_refused(tmp_path: Path, name: str) -> None:
    data, said = REFUSED[name]
    path = tmp_path / "mask"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=said) as caught:
        read_mask(path)
    assert str(caught.value).startswith(f"{path}: ")
