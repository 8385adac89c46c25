"""The PNG that most programs write, read in a few steps: 8 bits of grey or RGB, not interlaced, and nothing else in it.

PIL's own way through such a file (a stream, a plug-in, a method a chunk) costs several times as much as its decoder,
and small pictures have little else. Whatever is not as expected here goes that way (see `formats`): only there is a
file refused, so what is accepted and what is said of the rest does not depend on this module.

Source: PNG specification (third edition), sections 5 (chunks) and 11.2 (IHDR, IDAT, IEND).
"""

import struct
import zlib

from PIL import Image

from anomaly.data.decoding.limits import Limits

_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_HEADER = struct.Struct(">II5s")  # width, height; bits, colour type, compression, filter, interlace
_CHUNK = struct.Struct(">I4s")
_CHECKSUM = struct.Struct(">I")
_MODES = {b"\x08\x00\x00\x00\x00": "L", b"\x08\x02\x00\x00\x00": "RGB"}
_UNSEEN = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9}
"""Chunks, by length, that change no pixel here: colour profiles and sizes are ignored (see `appearance`)."""
_MARK = 0xA5A5A5
"""What a picture is filled with before it is decoded: a last row that has it may be missing."""


def read_plain_png(data: bytes, limits: Limits) -> Image.Image | None:
    """The picture, in mode "L" or "RGB" without metadata; None if it is another kind of PNG, too large or damaged."""
    if not data.startswith(_START) or len(data) < 33:
        return None
    width, height, kind = _HEADER.unpack_from(data, 16)
    mode = _MODES.get(kind)
    # the usual limit, too: beyond it PIL looks at the size by itself
    if mode is None or not 0 < width * height <= min(limits.max_pixels, Limits.max_pixels):
        return None
    packed = _packed_pixels(data)
    if packed is None:
        return None
    image = Image.new(mode, (width, height), _MARK if mode == "RGB" else _MARK & 255)
    try:
        image.frombytes(packed, "zip", mode)
    except ValueError:
        return None
    return image if _has_last_row(image) else None


def _packed_pixels(data: bytes) -> memoryview | bytes | None:
    """Those of all IDAT chunks, whose checksums and those of all other chunks are right; None otherwise."""
    view = memoryview(data)
    parts: list[memoryview] = []
    start, last = 8, len(data) - 12
    while start <= last:
        length, kind = _CHUNK.unpack_from(data, start)
        stop = start + 8 + length
        if stop > last + 8 or zlib.crc32(view[start + 4 : stop]) != _CHECKSUM.unpack_from(data, stop)[0]:
            return None
        if kind == b"IDAT":
            parts.append(view[start + 8 : stop])
        elif kind == b"IEND":
            return None if length or not parts else parts[0] if len(parts) == 1 else b"".join(parts)
        elif parts or (_UNSEEN.get(kind) != length and (start > 8 or length != 13)):
            return None
        start = stop + 4
    return None


def _has_last_row(image: Image.Image) -> bool:
    """Whether a row was decoded into the last one, where rows come in order and each at once."""
    bottom = image.height - 1
    first = image.im.getpixel((0, bottom))  # as `png` does: Image.getpixel would look whether it is loaded
    if first not in (0xA5, (0xA5, 0xA5, 0xA5)):
        return True
    return any(value != 0xA5 for value in image.crop((0, bottom, image.width, bottom + 1)).tobytes())
