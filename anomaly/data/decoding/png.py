"""PNG: what PIL does not look at, checksums, missing rows and palette entries, transparent colours, and 16-bit colour.

Source: PNG specification (third edition), sections 5 (chunks), 7.2 (scanlines), 8.1 (interlacing), 11.3.1 (tRNS).
"""

import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from anomaly.counted import counted
from anomaly.data.decoding.ranges import Values, narrow

_MAX_PACKED_TEXTS = 16
"""In one file. PIL unpacks each, to up to 1 MiB, and a small file can have thousands."""
_MAX_CHUNKS = 4096
"""Before the pixels. PIL reads them one by one, and other pictures wait meanwhile (see `appearance.quiet`)."""
_FEW_PIXELS = 64**2  # whose rows are counted sooner than a row is cut out
_KEY_BYTES = {0: 2, 2: 6}  # of a transparent colour, by colour type
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by colour type
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def check_chunks(data: bytes) -> None:
    """PIL does not compare the checksums of pixel data, and so shows some damaged files with wrong pixels.

    A file that ends without IEND may be whole: whether all pixels are there is told by `check_rows`.

    Raises:
        ValueError: a chunk is damaged, ends early or is out of place, or there are too many packed texts, or chunks.
    """
    start, kind, num_packed, num_before, seen = 8, b"", 0, 0, set[bytes]()
    while kind != b"IEND":
        length = int.from_bytes(data[start : start + 4])
        kind, checksum = data[start + 4 : start + 8], data[start + 8 + length : start + 12 + length]
        if len(checksum) < 4:
            if start > 8 and kind in (b"", b"IEND"[: len(kind)]) and b"IDAT" in data[:start]:
                return
            raise ValueError("the file is truncated")
        if kind[0] & 0x20 == 0 and zlib.crc32(data[start + 4 : start + 8 + length]) != int.from_bytes(checksum):
            called = f"a {kind.decode('ascii')} chunk" if kind.isalpha() else "a chunk without a name"
            raise ValueError(f"the checksum of {called} is wrong")
        if kind == b"tRNS" and (seen & {b"IDAT", b"tRNS"} or length != _KEY_BYTES.get(data[25], length)):
            raise ValueError("its transparency (tRNS) has the wrong length or is out of place")
        seen.add(kind)
        num_packed += kind in (b"zTXt", b"iTXt")
        if num_packed > _MAX_PACKED_TEXTS:
            raise ValueError(f"it has more than {_MAX_PACKED_TEXTS} packed texts")
        num_before += b"IDAT" not in seen
        if num_before > _MAX_CHUNKS:
            raise ValueError(f"it has more than {_MAX_CHUNKS:,} chunks before its pixels")
        start += 12 + length


def correct_transparent_colour(data: bytes, image: Image.Image) -> None:
    """Greys of 2 and 4 bits are scaled to 8 by PIL, but not the one that is transparent. Only its lower bits count."""
    key, bits = image.info.get("transparency"), data[24]
    if bits == 16 or image.mode not in ("L", "RGB") or key is None:
        return
    white = (1 << bits) - 1
    is_grey = isinstance(key, int)
    image.info["transparency"] = (key & white) * (255 // white) if is_grey else tuple(value & white for value in key)


def check_indices(data: bytes, image: Image.Image) -> None:
    """Raises ValueError if a loaded picture has indices beyond its palette: PIL shows them as black."""
    at = data.find(b"PLTE")
    if image.mode != "P" or at < 0:
        return
    num, highest = int.from_bytes(data[at - 4 : at]) // 3, image.im.getextrema()[1]
    if highest >= num:
        entries = counted(num, "entry", "entries")
        raise ValueError(f"it has a pixel of palette entry {highest}, and its palette has {entries}")


def check_rows(data: bytes, image: Image.Image) -> None:
    """Rows that are missing are 0 to PIL, where the packed pixels end with a row.

    They are counted only where the last row is 0 throughout, or rows are interlaced: most pictures need no counting.

    Raises:
        ValueError: there are fewer rows than the height says.
    """
    is_interlaced = data[28] == 1
    if is_interlaced or not _has_last_row(image):
        needed = _num_bytes(image.width, image.height, data[24] * _SAMPLES[data[25]], is_interlaced=is_interlaced)
        if len(zlib.decompressobj().decompress(_packed_pixels(data), needed)) < needed:
            raise ValueError("the file is truncated: rows are missing")


def has_16_bits(data: bytes) -> bool:
    """Whether the samples have 16 bits, by the header: the first 25 bytes suffice."""
    return data[24:25] == b"\x10"


def wide_values(image: PngImagePlugin.PngImageFile, again: PngImagePlugin.PngImageFile) -> tuple[Values, Values | None]:
    """All 16 bits of a file that PIL has opened twice and not loaded: colours (h, w) or (h, w, 3), and alpha or None.

    PIL gives the upper bytes of colour alone. Called little-endian, the same bytes give the lower ones. A transparent
    colour is compared in all 16 bits.
    """
    raw_mode = str(image.tile[0].args)
    key = image.info.get("transparency")
    if image.mode.startswith("I;16"):
        greys = np.asarray(image).astype(np.uint16)
        return greys, None if key is None else _alpha_of(greys != key)
    if raw_mode == "LA;16B":  # four bytes a pixel
        values = _opened_as(image, "RGBA", "RGBA")
        wide = values[:, :, ::2] * np.uint16(256) + values[:, :, 1::2]
        return wide[:, :, 0], wide[:, :, 1]
    upper, lower = (
        _opened_as(each, image.mode, raw) for each, raw in ((image, raw_mode), (again, raw_mode.replace("16B", "16L")))
    )
    values = upper * np.uint16(256) + lower
    if values.shape[2] == 4:
        return values[:, :, :3], values[:, :, 3]
    return values, None if key is None else _alpha_of((values != key).any(axis=2))


def narrowed(colours: Values, alpha: Values | None, bits: int, *, name: str) -> Image.Image:
    """In 8 bits, by the range; alpha keeps its upper 8 bits. Raises ValueRangeError."""
    seen = narrow(colours, bits, name=name)
    if alpha is None:
        return Image.fromarray(seen)
    return Image.fromarray(np.dstack([seen, (alpha >> 8).astype(np.uint8)]), "LA" if seen.ndim == 2 else "RGBA")


def _alpha_of(is_opaque: NDArray[np.bool_]) -> Values:
    return np.where(is_opaque, np.uint16(65535), np.uint16(0))


def _opened_as(image: PngImagePlugin.PngImageFile, mode: str, raw_mode: str) -> NDArray[np.uint16]:
    image._mode = mode
    image.tile = [image.tile[0]._replace(args=raw_mode)]
    return np.asarray(image).astype(np.uint16)


def _has_last_row(image: Image.Image) -> bool:
    """Whether something of it is not 0. The first pixel is looked at first, because the others cost more to get at."""
    first = image.im.getpixel((0, image.height - 1))  # loaded already: Image.getpixel would look again
    if first not in (0, (0, 0), (0, 0, 0), (0, 0, 0, 0)):
        return True
    if image.width * image.height <= _FEW_PIXELS:
        return False
    return any(image.crop((0, image.height - 1, image.width, image.height)).tobytes())


def _num_bytes(width: int, height: int, bits: int, *, is_interlaced: bool) -> int:
    """Of the unpacked rows, each with the byte of its filter."""
    if not is_interlaced:
        return height * (1 + -(-width * bits // 8))
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _PASSES]
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0 and rows > 0)


def _packed_pixels(data: bytes) -> bytes:
    parts, start, kind = [], 8, b""
    while kind != b"IEND" and start + 12 <= len(data):
        length, kind = int.from_bytes(data[start : start + 4]), data[start + 4 : start + 8]
        if kind == b"IDAT":
            parts.append(data[start + 8 : start + 8 + length])
        start += 12 + length
    return b"".join(parts)
