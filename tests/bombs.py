"""Files that are small and unpack to much, or claim to."""

import gzip
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from PIL import Image

from tests.bad_files import bmp_header, png_chunk, tiff_header
from tests.tiffs import tiff_of_overlapping_values

UNPACKED = 2**27
"""Bytes that a packed bomb unpacks to; more than memory may grow."""


@dataclass(frozen=True)
class Bomb:
    """A file, and the status of the right answer: 200 where only a small first picture is to be looked at."""

    name: str
    data: bytes
    status: int
    headers: dict[str, str] = field(default_factory=dict)


def make_bombs() -> Iterator[Bomb]:
    """PNGs, TIFFs, animations and archives."""
    zeros = _packed_zeros(UNPACKED)
    yield from _pngs(zeros)
    yield from _tiffs(zeros)
    yield from _others()
    yield from _several_pictures()
    yield from _archives()


def _pngs(zeros: bytes) -> Iterator[Bomb]:
    yield Bomb("PNG of 65,000 × 65,000 pixels", _png(65_000, zeros), 413)
    yield Bomb("PNG of 8 × 8 pixels with 128 MiB of them", _png(8, zeros), 200)
    for kind, head in ((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")):
        packed = png_chunk(kind, head + zeros)
        yield Bomb(f"PNG with {kind.decode()} of 128 MiB", _png(8, zlib.compress(bytes(72)), packed), 422)
    text = _packed_zeros(2**20 - 1)
    texts = b"".join(png_chunk(b"zTXt", b"%d\0\0" % i + text) for i in range(200))
    yield Bomb("PNG with 200 texts of 1 MiB", _png(8, zlib.compress(bytes(72)), texts), 422)


def _tiffs(zeros: bytes) -> Iterator[Bomb]:
    yield Bomb("TIFF of 100,000 × 100,000 pixels", tiff_header(100_000, 100_000), 413)
    yield Bomb("TIFF of 8 × 8 pixels with 128 MiB of them", _tiff(8, zeros, compression=8), 200)
    yield Bomb("TIFF with a tag of 2^31 values", _tiff(8, bytes(64), compression=1, num_strips=2**31), 422)
    yield Bomb("TIFF whose 1,000 pages name the same 64 KiB 10,000 times", tiff_of_overlapping_values(2**16, 1000), 422)


def _others() -> Iterator[Bomb]:
    jpeg = bytearray(_saved([Image.new("L", (8, 8))], "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = b"\xff\xff\xff\xff"
    yield Bomb("JPEG of 65,535 × 65,535 pixels", bytes(jpeg), 413)
    yield Bomb("BMP of 100,000 × 100,000 pixels", bmp_header(100_000, 100_000), 413)
    lossless = b"\x2f" + (16_382 | 16_382 << 14).to_bytes(4, "little") + bytes(15)
    webp = b"VP8L" + struct.pack("<I", len(lossless)) + lossless
    yield Bomb("WebP of 16,383 × 16,383 pixels", b"RIFF" + struct.pack("<I", 4 + len(webp)) + b"WEBP" + webp, 413)


def _several_pictures() -> Iterator[Bomb]:
    frames = [Image.new("RGB", (1000, 1000), (i, 0, 0)) for i in range(30)]  # 120 MB in PIL's memory
    fast: dict[str, object] = {"lossless": True, "quality": 0, "method": 0}
    yield Bomb("PNG animation of 30 × 1000 × 1000 pixels", _saved(frames, "PNG"), 200)
    yield Bomb("WebP animation of 30 × 1000 × 1000 pixels", _saved(frames, "WEBP", **fast), 200)
    yield Bomb("TIFF of 30 pages of 1000 × 1000 pixels", _saved(frames, "TIFF", compression="tiff_lzw"), 200)
    pages = [Image.new("1", (8, 8))] * 1000
    yield Bomb("TIFF of 1,000 pages of 8 × 8 pixels", _saved(pages, "TIFF"), 200)
    yield Bomb("GIF animation", _saved(frames[:3], "GIF"), 415)


def _archives() -> Iterator[Bomb]:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("image.png", bytes(UNPACKED))
    yield Bomb("zip of 128 MiB", archive.getvalue(), 415)
    packed = gzip.compress(bytes(UNPACKED), compresslevel=1, mtime=0)
    yield Bomb("gzip of 128 MiB", packed, 415)
    yield Bomb("gzip of 128 MiB as the body's encoding", packed, 415, {"Content-Encoding": "gzip"})


def _packed_zeros(num_bytes: int) -> bytes:
    packer = zlib.compressobj(9)
    pieces = [packer.compress(bytes(min(2**20, num_bytes))) for _ in range(max(1, num_bytes // 2**20))]
    return b"".join(pieces) + packer.flush()


def _png(side: int, packed_pixels: bytes, chunk: bytes = b"") -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk + png_chunk(b"IDAT", packed_pixels) + png_chunk(b"IEND", b"")


def _tiff(side: int, strip: bytes, *, compression: int, num_strips: int = 1) -> bytes:
    entries = [
        (256, 1, side), (257, 1, side), (258, 1, 8), (259, 1, compression), (262, 1, 1), (273, num_strips, 8),
        (277, 1, 1), (278, 1, side), (279, num_strips, len(strip)),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in entries)
    return (
        struct.pack("<2sHI", b"II", 42, 8 + len(strip)) + strip + struct.pack("<H", len(entries)) + directory + bytes(4)
    )


def _saved(frames: list[Image.Image], file_format: str, **options: object) -> bytes:
    several = {"save_all": True, "append_images": frames[1:]} if len(frames) > 1 else {}
    buffer = BytesIO()
    frames[0].save(buffer, file_format, **several, **options)
    return buffer.getvalue()
