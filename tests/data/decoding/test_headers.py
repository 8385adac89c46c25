"""Headers drawn at random around a known picture: each file equals the picture or is refused, none differs silently.

The same 200 each time; ANOMALY_HEADERS sets another number, which is drawn anew. The layouts that people use must be
among those that are read.
"""

import os
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from anomaly.data import Pixels, decode
from anomaly.errors import ImageError, UndecodableImageError
from tests.bad_files import png_chunk
from tests.tiffs import Fields, TiffForm, tiff_of

NUM_HEADERS = int(os.environ.get("ANOMALY_HEADERS", "200"))
HEIGHT, WIDTH = 13, 18
_ROWS, _COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
BITS: Pixels = ((_ROWS * 5 + _COLUMNS * 3) % 7 > 2).astype(np.uint8)
GREY: Pixels = (_ROWS * 9 + _COLUMNS * 5).astype(np.uint8)
RGB: Pixels = np.dstack([GREY, 255 - GREY, _COLUMNS * 12]).astype(np.uint8)
Drawn = TypeVar("Drawn")
OUTCOMES: Counter[str] = Counter()
DRAWS = settings(
    max_examples=NUM_HEADERS // 4,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # draws are alike: once 4 of 50 PNGs were refused, of which half are mostly, so the last test here failed
    derandomize="ANOMALY_HEADERS" not in os.environ,
)


def check(kind: str, data: bytes, *right: Pixels) -> None:
    """Any of the right pixels, within the rounding of one grey level, or an error that names the image."""
    try:
        seen = np.asarray(decode(data, name="it").convert("RGB")).astype(int)
    except ImageError as error:
        assert str(error).startswith("it: ")  # noqa: PT017
        OUTCOMES[f"{kind} refused"] += 1
        return
    OUTCOMES[f"{kind} read"] += 1
    shown = [np.repeat(each[:, :, None], 3, axis=2) if each.ndim == 2 else each for each in right]
    assert any(seen.shape == each.shape and abs(seen - each.astype(int)).max() <= 1 for each in shown), data


@DRAWS
@given(st.data())
def test_tiff(data: st.DataObject) -> None:
    def draw(*values: Drawn) -> Drawn:
        return data.draw(st.sampled_from(values))

    bits = draw(1, 2, 4, 8, 8, 10, 12, 14, 16, 16, 32)
    is_colour = draw(False, True)
    photometric = 2 if is_colour else draw(0, 1, 1)
    extra = tuple(draw(0, 1, 2) for _ in range(draw(0, 0, 1, 2)))
    pixels = BITS * np.uint8(255) if bits < 8 else RGB if is_colour else GREY
    colours = np.rint(pixels.reshape(HEIGHT, WIDTH, -1) * (((1 << bits) - 1) / 255)).astype(np.int64)
    if is_colour and colours.shape[2] == 1:
        colours = np.repeat(colours, 3, axis=2)
    stored = (1 << bits) - 1 - colours if photometric == 0 else colours
    opaque = np.full((HEIGHT, WIDTH, 1), (1 << bits) - 1)
    samples = np.dstack([stored, *(opaque if value else opaque // 3 for value in extra)])
    fields: Fields = {}
    for tag, kind, values in (
        (254, 4, (0, 0, 2)),
        (266, 3, (1, 1, 2)),
        (339, 3, (1, 1, 2, 3, 4)),
        (317, 3, (1, 1, 3)),
        (332, 3, (1, 2)),
    ):
        if draw(True, False, False, False):
            fields[tag] = (kind, (draw(*values),))
    compression, is_planar = draw(1, 1, 5, 8, 32773, 6, 34712), draw(False, True)
    rows, tile = draw(None, 4, 5), draw(None, None, 16)
    form = TiffForm(
        bits, photometric, is_planar, compression, draw("<", ">"), draw(False, False, True),
        tile, rows, extra, fields=fields,
        has_predictor=compression in (5, 8) and 317 not in fields and draw(False, True),
    )  # fmt: skip
    check("TIFF", tiff_of(samples, form), pixels)


@DRAWS
@given(
    bits=st.sampled_from([1, 4, 8, 16, 24, 32]),
    header=st.sampled_from([12, 40, 52, 56, 64, 108, 124]),
    compression=st.sampled_from([0, 0, 0, 1, 2, 3, 3, 4, 6]),
    is_top_down=st.booleans(),
    alpha=st.sampled_from([0, 255]),
    has_palette_size=st.booleans(),
    data=st.data(),
)
def test_bmp(
    bits: int, header: int, compression: int, is_top_down: bool, alpha: int, has_palette_size: bool, data: st.DataObject
) -> None:
    table = data.draw(
        st.sampled_from([[(0, 0, 0), (255, 255, 255)], [(255, 255, 255), (0, 0, 0)], [(9, 80, 200), (1, 1, 1)]])
    )
    masks, shown = (0, 0, 0, 0), RGB
    if bits <= 8:
        shown = np.array(table, np.uint8)[BITS]
        packed = [_row_of_bits(row, bits) for row in BITS.tolist()]
    elif bits == 16:
        fives = (RGB >> 3).astype(np.uint16)
        shown = np.rint((RGB >> 3) * (255 / 31)).astype(np.uint8)
        packed = [row.astype("<u2").tobytes() for row in fives[..., 0] << 10 | fives[..., 1] << 5 | fives[..., 2]]
        masks = (0x7C00, 0x3E0, 0x1F, 0)
    else:
        bands = [RGB[..., ::-1]] + ([np.full((HEIGHT, WIDTH, 1), alpha, np.uint8)] if bits == 32 else [])
        packed = [row.tobytes() for row in np.dstack(bands)]
        masks = (0xFF0000, 0xFF00, 0xFF, data.draw(st.sampled_from([0, 0xFF000000])) if bits == 32 else 0)
    rows = [row + bytes(-len(row) % 4) for row in packed]
    body = b"".join(rows if is_top_down else rows[::-1])
    height = -HEIGHT if is_top_down else HEIGHT
    num_colours = len(table) if bits <= 8 and has_palette_size else 0
    if header == 12:
        info = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, bits)
        body = b"".join(rows[::-1])
        compression = 0
    else:
        info = struct.pack("<IiiHHIIiiII", header, WIDTH, height, 1, bits, compression, len(body), 0, 0, num_colours, 0)
        info = (info + struct.pack("<IIII", *masks)).ljust(header, b"\0")[
            : max(header, 52 if compression == 3 else header)
        ]
    entries = [(blue, green, red) + (() if header == 12 else (0,)) for red, green, blue in table]
    entries += [entries[0]] * ((num_colours or (1 << bits if bits <= 8 else 0)) - len(entries))
    palette = b"".join(map(bytes, entries)) if bits <= 8 else b""
    start = 14 + len(info) + len(palette)
    check("BMP", struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + info + palette + body, shown)


def _row_of_bits(row: list[int], bits: int) -> bytes:
    joined = "".join(f"{value:0{bits}b}" for value in row)
    joined += "0" * (-len(joined) % 8)
    return int(joined, 2).to_bytes(len(joined) // 8)


PNG_FORMS = [(bits, kind) for kind, most in {0: 16, 3: 8}.items() for bits in (1, 2, 4, 8, 16) if bits <= most] + [
    (bits, kind) for kind in (2, 4, 6) for bits in (8, 16)
]
"""Bits and colour type of the standard's table 11.1; half of those drawn, else few of the headers were right."""


@DRAWS
@given(
    form=st.sampled_from(PNG_FORMS)
    | st.tuples(st.sampled_from([1, 2, 4, 8, 16, 3]), st.sampled_from([0, 2, 3, 4, 6, 1])),
    filters=st.lists(st.sampled_from([0, 1, 2]), min_size=HEIGHT, max_size=HEIGHT),
    interlace=st.sampled_from([0, 0, 0, 2]),
    alpha=st.sampled_from([0, 1]),
    num_rows=st.sampled_from([HEIGHT] * 6 + [HEIGHT - 1, 1]),
    ends=st.sampled_from([True, True, True, True, False]),
    key=st.sampled_from(["none", "none", "first pixel", "neighbour"]),
)
def test_png(
    form: tuple[int, int], filters: list[int], interlace: int, alpha: int, num_rows: int, ends: bool, key: str
) -> None:
    bits, colour_type = form
    white = (1 << bits) - 1
    num = {0: 1, 1: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    pixels = BITS * np.uint8(255) if bits < 8 else RGB if colour_type in (2, 6) else GREY
    table = np.random.default_rng(1).integers(0, 256, (256, 3)).astype(np.uint8)
    values = BITS.astype(int) if colour_type == 3 else np.rint(pixels.astype(int) * (white / 255)).astype(int)
    values = values.reshape(HEIGHT, WIDTH, -1)
    if values.shape[2] == 1 and colour_type in (2, 6):
        values = np.repeat(values, 3, axis=2)
    if colour_type in (4, 6):
        values = np.dstack([values[:, :, : num - 1], np.full((HEIGHT, WIDTH, 1), alpha * white)])
    size = max(1, num * bits // 8)
    raw, above = b"", bytes(-(-WIDTH * num * bits // 8))
    for row, kind in zip(values.reshape(HEIGHT, -1).tolist(), filters, strict=True):
        line = b"".join(value.to_bytes(2) for value in row) if bits == 16 else _row_of_bits(row, bits)
        before = {0: bytes(len(line)), 1: bytes(size) + line[:-size], 2: above}[kind]
        raw += bytes([kind]) + bytes((x - y) % 256 for x, y in zip(line, before, strict=True))
        above = line
    length = len(raw) // HEIGHT
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour_type, 0, 0, interlace))
    palette = png_chunk(b"PLTE", table.tobytes()) if colour_type == 3 else b""
    body = png_chunk(b"IDAT", zlib.compress(raw[: length * num_rows]))
    shown = table[BITS] if colour_type == 3 else pixels
    if key != "none" and colour_type in (0, 2):
        colour = values[0, 0] ^ (key == "neighbour")  # of 16 bits, it has the same upper byte
        palette = png_chunk(b"tRNS", colour.astype(">u2").tobytes())
        is_seen = (values != colour).any(axis=2)
        shown = np.where(is_seen if shown.ndim == 2 else is_seen[:, :, None], shown, 255).astype(np.uint8)
    data = b"\x89PNG\r\n\x1a\n" + header + palette + body + (png_chunk(b"IEND", b"") if ends else b"")
    check("PNG", data, *([shown] if num_rows == HEIGHT else []))


@DRAWS
@given(
    mode=st.sampled_from(["L", "RGB", "CMYK"]),
    subsampling=st.sampled_from([0, 1, 2]),
    is_progressive=st.booleans(),
    restart=st.sampled_from([0, 0, 1]),
    change=st.sampled_from(["none", "none", "cut", "cut and ended", "zeros", "end", "zeros for end", "junk"]),
    share=st.floats(0.3, 0.99),
)
def test_jpeg(mode: str, subsampling: int, is_progressive: bool, restart: int, change: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, {"L": 1, "RGB": 3, "CMYK": 4}[mode]), np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise[:, :, 0] if mode == "L" else noise, mode).save(
        buffer, "JPEG", quality=90, subsampling=subsampling, progressive=is_progressive, restart_marker_rows=restart
    )
    data = buffer.getvalue()
    right = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
    at = int(share * len(data))
    changes: dict[str, Callable[[], bytes]] = {
        "none": lambda: data,
        "cut": lambda: data[:at],
        "cut and ended": lambda: data[:at] + b"\xff\xd9",
        "zeros": lambda: data[:at] + bytes(len(data) - at - 2) + b"\xff\xd9",
        "end": lambda: data[:-2],
        "zeros for end": lambda: data[:-2] + bytes(300),
        "junk": lambda: data + b"text after the end",
    }
    check("JPEG", changes[change](), right)


def test_what_is_usual_was_among_those_that_were_read() -> None:
    for kind in ("TIFF", "BMP", "PNG", "JPEG"):
        assert min(OUTCOMES[f"{kind} read"], OUTCOMES[f"{kind} refused"]) >= min(5, NUM_HEADERS // 40), OUTCOMES


@pytest.mark.parametrize(
    "junk", [b"\xff", b"\0", b"\xff\0", b"\xff\xfe\0\2", b"\xff\xe1\0\2", b"\xff\xd9", b"\xff\xd0"]
)
def test_a_jpeg_with_junk_without_end_before_its_picture_is_refused_before_it_is_opened(
    junk: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    whole = buffer.getvalue()
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(UndecodableImageError, match="more than 4,096 segments before its picture"):
        decode(whole[:20] + junk * 5000 + whole[20:], name="it")  # behind its first segment


def test_a_jpeg_with_comments_is_read() -> None:
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    whole = buffer.getvalue()
    comments = (b"\xff\xfe\xff\xff" + bytes(65533)) * 100 + b"\xff" * 100
    assert decode(whole[:2] + comments + whole[2:], name="it").size == (8, 8)


def test_a_png_with_chunks_without_end_before_its_pixels_is_refused_before_it_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    whole = buffer.getvalue()
    assert decode(whole[:33] + png_chunk(b"aaAa", b"") * 4000 + whole[33:], name="it").size == (8, 8)
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(UndecodableImageError, match="more than 4,096 chunks before its pixels"):
        decode(whole[:33] + png_chunk(b"aaAa", b"") * 5000 + whole[33:], name="it")
