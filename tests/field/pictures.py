"""Picture files as cameras, programs and transfers make them, each with the pixels that are right, or its refusal."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from anomaly.data import Pixels
from tests.bad_files import png_chunk
from tests.field.canvas import BLACK_AND_WHITE, GREY, HEIGHT, RGB, WIDTH, saved
from tests.field.ordinary import Drawn, ordinary_files
from tests.field.rows import Row
from tests.tiffs import DEFLATE, LZW, Samples, TiffForm, tiff_of, tiff_of_pages

READ = "read"


@dataclass(frozen=True)
class PictureCase:
    """A file, the row of the table that it belongs to, and the pixels that are right; None: refused, with `reason`."""

    row: Row
    data: bytes
    seen: Pixels | None
    reason: str = ""


def cases() -> Iterator[PictureCase]:
    """All of them: ordinary files, then those that are odd."""
    for section, what, data, right in (*ordinary_files(), *_odd_files()):
        outcome = READ if isinstance(right, np.ndarray) else "refused"
        seen, reason = (right, "") if isinstance(right, np.ndarray) else (None, right)
        yield PictureCase(Row(section, what, outcome), data, seen, reason)


def _odd_files() -> Iterator[tuple[str, str, bytes, Pixels | str]]:
    for section, make in (("TIFF", _tiffs), ("JPEG", _jpegs), ("PNM", _pnms)):
        for what, data, right in make():
            yield section, what, data, right
    for what, data, right in _others():
        first = what.split()[0].strip(",")
        section = first if first in ("PNG", "WebP") else "BMP"
        yield section, what.removeprefix(section).lstrip(", "), data, right


def _tiffs() -> Drawn:
    grey, rgb = GREY[:, :, None].astype(np.int64), RGB.astype(np.int64)
    for bits in (10, 12, 14):
        scaled = np.rint(grey * ((1 << bits) - 1) / 255).astype(np.int64)
        yield f"{bits} bits a sample, packed", tiff_of(scaled, TiffForm(bits)), GREY
    for order, name in (("<", "little-endian"), (">", "big-endian")):
        planar = TiffForm(16, 2, is_planar=True, order=order)
        yield f"16-bit RGB, one plane for each colour, {name}", tiff_of(rgb * 257, planar), RGB
        yield f"16-bit RGB, {name}", tiff_of(rgb * 257, TiffForm(16, 2, order=order)), RGB
        predicted = TiffForm(16, compression=DEFLATE, order=order, has_predictor=True)
        yield f"16-bit grey, Deflate with predictor, {name}", tiff_of(grey * 257, predicted), GREY
    yield "16-bit grey, 0 is white", tiff_of((255 - grey) * 257, TiffForm(16, 0)), GREY
    yield "16-bit grey, LZW, tiles", tiff_of(grey * 257, TiffForm(16, compression=LZW, tile=16)), GREY
    yield "BigTIFF", tiff_of(rgb, TiffForm(8, 2, is_big=True)), RGB
    yield "one strip for each row, one plane for each colour", tiff_of(rgb, TiffForm(8, 2, is_planar=True, rows=1)), RGB
    ramp = np.repeat(np.arange(256), 3).reshape(256, 3).T.ravel()
    for depth in (8, 16):
        form = TiffForm(8, 3, fields={320: (3, (ramp * (257 if depth == 16 else 1)).tolist())})
        yield f"palette with entries of {depth} bits", tiff_of(grey, form), RGB_OF_GREY
    nothing = np.zeros_like(grey)
    yield "grey with an alpha of 0 everywhere", tiff_of(np.dstack([grey, nothing]), TiffForm(extra=(2,))), GREY
    yield "RGB and near infrared", tiff_of(np.dstack([rgb, nothing + 90]), TiffForm(8, 2, extra=(0,))), RGB
    thumbnail = (grey[::4, ::4], TiffForm(fields={254: (4, [1])}))
    yield "a first page that is marked as a thumbnail", tiff_of_pages([thumbnail, (rgb, TiffForm(8, 2))]), RGB
    yield "several pages of one size (the first; said)", tiff_of_pages([(rgb, TiffForm(8, 2))] * 2), RGB
    unmarked = (grey[::4, ::4], TiffForm())
    later = tiff_of_pages([unmarked, (grey, TiffForm())])
    yield "a first page that is smaller than a later one, not marked", later, "may be a thumbnail"
    yield "signed samples", tiff_of(grey, TiffForm(16, fields={339: (3, [2])})), "signed integers"
    yield (
        "floating-point samples of 32 and 64 bits",
        tiff_of(grey, TiffForm(64, fields={339: (3, [3])})),
        "floating-point",
    )
    yield "32-bit integers", tiff_of(grey, TiffForm(32)), "grey of 32 bits"
    yield "five bands, none of them said to be colour", tiff_of(_bands(5), TiffForm(extra=(0,) * 4)), "5 bands"
    whole = tiff_of(grey, TiffForm())
    at = whole.index(struct.pack("<HHII", 279, 4, 1, GREY.size)) + 8
    yield "a strip that is cut", whole[:at] + struct.pack("<I", GREY.size - 1) + whole[at + 4 :], "truncated"


RGB_OF_GREY: Pixels = np.repeat(GREY[:, :, None], 3, axis=2)


def _bands(num: int) -> Samples:
    return np.repeat(GREY[:, :, None], num, axis=2).astype(np.int64)


def _others() -> Drawn:
    yield "32-bit BMP, fourth byte 0", _bmp(struct.pack("<I", 40), 0), RGB
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for version, size in ((4, 108), (5, 124)):
        header = struct.pack("<I", size)
        yield f"32-bit BMP of version {version} with an alpha of 0 everywhere", _bmp(header, 3, masks), RGB
    table = b"\0\0\0\0\xff\xff\xff\0"
    yield (
        "8-bit BMP of two colours, black and white",
        _bmp_8(table, (GREY > 90).astype(np.uint8)),
        np.dstack([BLACK_AND_WHITE] * 3),
    )
    see_through = np.dstack([RGB, np.zeros_like(GREY)])
    yield "PNG with an alpha of 0 everywhere", saved(Image.fromarray(see_through), "PNG"), RGB
    png = saved(Image.fromarray(RGB), "PNG")
    yield "PNG without its end (IEND)", png[:-12], RGB
    yield "PNG whose rows are fewer than its height", _png_of_rows(HEIGHT - 1), "rows are missing"
    yield "PNG that is cut", png[:-30], "truncated"
    few = _png(8, (GREY % 3).astype(np.int64), b"PLTE", bytes([10, 20, 30, 40, 50, 60]), colour_type=3)
    yield "PNG with pixels beyond its palette", few, "palette entry 2, and its palette has 2 entries"
    yield (
        "8-bit BMP with pixels beyond its palette",
        _bmp_8(b"\x09\x50\xc8\0" * 2, (GREY % 3).astype(np.uint8)),
        "palette entry 2, and its palette has 2 entries",
    )
    grey_table = b"\0\0\0\0\xff\xff\xff\0"
    yield (
        "8-bit BMP with pixels beyond its palette of black and white",
        _bmp_8(grey_table, (GREY % 3).astype(np.uint8)),
        "palette entry 2, and its palette has 2 entries",
    )
    yield from _png_transparent_colours()
    bmp, webp = saved(Image.fromarray(RGB), "BMP"), saved(Image.fromarray(RGB), "WEBP", lossless=True)
    yield "BMP that is cut", bmp[:-50], "truncated"
    yield "WebP, lossless", webp, RGB
    yield "WebP that is cut", webp[: len(webp) * 9 // 10], "decoded"
    for kind, lossless in (("lossless", True), ("lossy", False)):
        data = saved(_surface(), "WEBP", lossless=lossless)
        half = len(data) // 2
        yield f"WebP, {kind}, second half zeros", data[:half] + bytes(len(data) - half), "decoded"
        yield f"WebP, {kind}, 512 zeros in the middle", data[:half] + bytes(512) + data[half + 512 :], "decoded"
    dark = np.where(np.arange(HEIGHT)[:, None, None] < 8, RGB, 0).astype(np.uint8)
    yield "WebP, lossless, two thirds black", saved(Image.fromarray(dark), "WEBP", lossless=True), dark


def _png_transparent_colours() -> Drawn:
    """Of each kind, one value is transparent, and is shown white. One that differs in the last bit is not."""
    for bits in (1, 2, 4, 8, 16):
        white = (1 << bits) - 1
        values = (GREY.astype(np.int64) * 3) & white
        values[0, :2] = white // 2, white // 2 + 1
        shown = np.floor(values * (255 / white) + 0.5).astype(np.uint8)
        shown[values == white // 2] = 255
        data = _png(bits, values, b"tRNS", struct.pack(">H", white // 2))
        yield f"PNG, grey of {bits} bits with a transparent colour: shown white", data, shown
    for bits in (8, 16):
        colours = RGB.astype(np.int64) * (257 if bits == 16 else 1)
        colours[1, 1] = colours[0, 0] + (0, 0, 1)
        shown = (colours >> (bits - 8)).astype(np.uint8)
        shown[(colours == colours[0, 0]).all(axis=2)] = 255
        data = _png(bits, colours, b"tRNS", colours[0, 0].astype(">u2").tobytes(), colour_type=2)
        yield f"PNG, RGB of {bits} bits with a transparent colour: shown white", data, shown
    late = saved(Image.fromarray(GREY), "PNG")[:-12] + png_chunk(b"tRNS", b"\0\1") + png_chunk(b"IEND", b"")
    yield "PNG with a transparent colour that comes after its pixels", late, "out of place"


def _png(bits: int, values: Samples, kind: bytes, body: bytes, colour_type: int = 0) -> bytes:
    """With one more chunk before its pixels."""
    lines = values.reshape(HEIGHT, -1)
    if bits < 8:
        ones = (lines[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
        rows = [b"\0" + row.tobytes() for row in np.packbits(ones.reshape(HEIGHT, -1).astype(np.uint8), axis=1)]
    else:
        rows = [b"\0" + row.tobytes() for row in lines.astype(np.uint8 if bits == 8 else ">u2")]
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour_type, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(kind, body) + pixels + png_chunk(b"IEND", b"")


def _surface() -> Image.Image:
    """As a camera may see it: large enough for a file of some thousand bytes."""
    rng = np.random.default_rng(5)
    noise = np.clip(np.add.outer(np.arange(120), np.arange(160)) * 0.8 + rng.normal(0, 12, (120, 160)), 0, 255)
    return Image.fromarray(np.dstack([noise, noise * 0.6, noise * 0.3]).astype(np.uint8))


def _jpegs() -> Drawn:
    picture = _surface()
    for kind, progressive in (("baseline", False), ("progressive", True)):
        data = saved(picture, "JPEG", quality=90, progressive=progressive)
        with Image.open(BytesIO(data)) as image:
            seen = np.asarray(image).copy()
        half, end = len(data) // 2, b"\xff\xd9"
        zeroed = data[:half] + bytes(len(data) - half)
        yield f"{kind}, whole", data, seen
        yield f"{kind}, without its end (EOI)", data[:-2], seen
        yield f"{kind}, zeros in the place of its end", data[:-2] + bytes(600), seen
        yield f"{kind}, zeros or text after its end", data + bytes(600) + b"time=12:00\r\n", seen
        yield f"{kind}, cut", data[:half], "decoded"
        yield f"{kind}, cut and ended", data[: len(data) * 95 // 100] + end, "premature end"
        yield f"{kind}, second half zeros", zeroed, "decoded"
        yield f"{kind}, second half zeros and ended", zeroed[:-2] + end, "decoded"
    scan = data.rindex(b"\xff\xda")
    tables = data.rfind(b"\xff\xc4", 0, scan)
    yield (
        "progressive, its last scan missing",
        data[: tables if tables > scan - 200 else scan] + end,
        "scans are missing",
    )


def _pnms() -> Drawn:
    head = b"%d %d\n" % (WIDTH, HEIGHT)
    yield "PGM, 8 bits", b"P5\n# a comment\n" + head + b"255\n" + GREY.tobytes(), GREY
    wide = GREY.astype(">u2")
    yield "PGM, 16 bits", b"P5 " + head + b"65535\n" + (wide * 257).astype(">u2").tobytes(), GREY
    scaled = np.rint(GREY * (4095 / 255)).astype(">u2")
    yield "PGM whose white is 4095", b"P5 " + head + b"4095\n" + scaled.tobytes(), GREY
    yield "PPM, 8 bits", b"P6 " + head + b"255\n" + RGB.tobytes(), RGB
    text = b"\n".join(b" ".join(b"%d" % value for value in row) for row in RGB.reshape(HEIGHT, -1).tolist())
    yield "PPM in text", b"P3 " + head + b"255\n" + text, RGB
    bits = (GREY <= 90).astype(np.uint8)
    yield "PBM", b"P4 " + head + np.packbits(bits, axis=1).tobytes(), BLACK_AND_WHITE
    of_two_bytes = b"P5\r\n%d %d\r\n255\r\n" % (WIDTH, HEIGHT) + GREY.tobytes()
    yield "PGM with line ends of two bytes (CR LF) in its header", of_two_bytes, GREY
    yield "the same, and cut by a byte", of_two_bytes[:-1], "CR LF"
    several = (b"P5 " + head + b"255\n" + GREY.tobytes()) * 2
    yield "several pictures in one file: the first (said)", several, GREY
    yield "PGM that is cut", b"P5 " + head + b"255\n" + GREY.tobytes()[:-1], "truncated"
    yield "PGM with values beyond its white", b"P5 " + head + b"100\n" + GREY.tobytes(), "beyond 100"


def _bmp(header_size: bytes, compression: int, masks: bytes = b"") -> bytes:
    size = int.from_bytes(header_size, "little")
    pixels = np.dstack([RGB[..., ::-1], np.zeros_like(GREY)])[::-1].tobytes()
    info = struct.pack("<iiHHIIiiII", WIDTH, HEIGHT, 1, 32, compression, len(pixels), 2835, 2835, 0, 0)
    header = (header_size + info + masks + (b"BGRs" if masks else b"")).ljust(size, b"\0")
    return struct.pack("<2sIHHI", b"BM", 14 + size + len(pixels), 0, 0, 14 + size) + header + pixels


def _bmp_8(table: bytes, indices: Pixels) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 8, 0, indices.size, 2835, 2835, len(table) // 4, 0)
    start = 14 + len(info) + len(table)
    head = struct.pack("<2sIHHI", b"BM", start + indices.size, 0, 0, start)
    return head + info + table + indices[::-1].tobytes()


def _png_of_rows(num: int) -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in GREY[:num])
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
