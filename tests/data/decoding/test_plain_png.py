"""The short way through a plain PNG: the pixels of the long way, and never a file that the long way refuses."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from anomaly.data import Limits
from anomaly.data.decoding import formats
from anomaly.data.decoding.decode import decode
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.data.decoding.plain_png import read_plain_png
from anomaly.errors import ImageError

WIDTH, HEIGHT = 7, 5
MARK = 0xA5
ROWS = b"".join(b"\0" + bytes(range(row, row + WIDTH)) for row in range(1, HEIGHT + 1))


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(
    *, size: tuple[int, int] = (WIDTH, HEIGHT), bits: int = 8, colour: int = 0, last: bytes = b"\0\0\0"
) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBB", *size, bits, colour) + last)


def png(rows: bytes = ROWS, *, before: bytes = b"", between: bytes = b"", after: bytes = b"", pieces: int = 1) -> bytes:
    packed = zlib.compress(rows)
    step = -(-len(packed) // pieces)
    parts = [chunk(b"IDAT", packed[at : at + step]) for at in range(0, len(packed), step)]
    return header() + before + parts[0] + between + b"".join(parts[1:]) + after + chunk(b"IEND")


def saved(image: Image.Image, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def long_way(data: bytes, monkeypatch: pytest.MonkeyPatch) -> bytes | None:
    """The pixels as PIL's plug-in reads them; None if the file is refused."""
    with monkeypatch.context() as patched:
        patched.setattr(formats, "read_plain_png", lambda data, limits: None)
        try:
            return decode(data, name="it").tobytes()
        except ImageError:
            return None


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{}, {"compress_level": 0}, {"optimize": True}, {"dpi": (72, 72)}])
@pytest.mark.parametrize("last", [0, 7, 255])
def test_what_programs_write_goes_the_short_way(mode: str, options: dict[str, object], last: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    pixels[-1] = last
    image = Image.fromarray(pixels).convert(mode)
    found = read_plain_png(saved(image, **options), DEFAULT_LIMITS)
    assert found is not None
    assert (found.mode, found.size, found.tobytes(), found.info) == (mode, image.size, image.tobytes(), {})


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_pixels_may_come_in_several_chunks(pieces: int) -> None:
    found = read_plain_png(png(pieces=pieces), DEFAULT_LIMITS)
    assert found is not None
    assert found.tobytes() == bytes(value for row in range(1, 6) for value in range(row, row + WIDTH))


OTHERS = {
    "RGBA": saved(Image.new("RGBA", (3, 3), (1, 2, 3, 4))),
    "a palette": saved(Image.new("P", (3, 3))),
    "16 bits": saved(Image.fromarray(np.ones((3, 3), np.uint16))),
    "bits": saved(Image.new("1", (3, 3))),
    "a transparent colour": saved(Image.new("L", (3, 3), 5), transparency=5),
    "text, which may turn it": png(before=chunk(b"tEXt", b"exif\0a")),
    "EXIF": png(before=chunk(b"eXIf", b"MM\0*")),
    "interlaced": header(last=b"\0\0\1") + chunk(b"IDAT", zlib.compress(ROWS)) + chunk(b"IEND"),
    "nothing": b"\x89PNG\r\n\x1a\n",
    "a row is missing": png(ROWS[: -WIDTH - 1]),
    "half a row is missing": png(ROWS[:-3]),
    "its last row may be missing": png(ROWS[: -WIDTH - 1] + b"\0" + bytes([MARK]) * WIDTH),
    "no end": png()[:-12],
}


@pytest.mark.parametrize("what", OTHERS)
def test_anything_else_goes_the_long_way(what: str) -> None:
    assert read_plain_png(OTHERS[what], DEFAULT_LIMITS) is None


def test_a_last_row_that_looks_like_a_missing_one_is_read() -> None:
    assert decode(OTHERS["its last row may be missing"], name="it").tobytes()[-WIDTH:] == bytes([MARK]) * WIDTH


def test_limits_hold() -> None:
    assert read_plain_png(png(), Limits(max_pixels=WIDTH * HEIGHT)) is not None
    assert read_plain_png(png(), Limits(max_pixels=WIDTH * HEIGHT - 1)) is None


def damaged() -> list[bytes]:
    """Every byte of a file changed, every cut, and further chunks in all places: right ones and wrong ones."""
    whole = png(pieces=3)
    files = [whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (0, 5)]
    files += [whole[:at] for at in range(len(whole))]
    more = [chunk(kind, bytes(size)) for kind in (b"gAMA", b"cHRM", b"sRGB", b"pHYs") for size in (0, 1, 4, 9, 32)]
    more += [
        more[1][:-1] + b"\0",
        header()[8:],
        chunk(b"ZZZZ", b"a"),
        chunk(b"zzZz", b"a"),
        chunk(b"IDAT"),
        chunk(b"PLTE"),
    ]
    for each in more:
        files += [png(before=each), png(between=each, pieces=2), png(after=each)]
    files += [png(ROWS + b"more"), png(ROWS + ROWS), png(ROWS[:-8] + b"\5" + ROWS[-7:]), png() + b"more"]
    files += [
        header(size=size) + chunk(b"IDAT", zlib.compress(ROWS)) + chunk(b"IEND")
        for size in ((WIDTH, HEIGHT + 1), (WIDTH + 1, HEIGHT), (0, 1), (2**31, 1), (2**16, 2**16))
    ]
    return files


def test_the_short_way_accepts_nothing_that_the_long_way_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    num_short = 0
    for data in damaged():
        found = read_plain_png(data, DEFAULT_LIMITS)
        if found is not None:
            assert found.tobytes() == long_way(data, monkeypatch)
            num_short += 1
    assert num_short > 5
