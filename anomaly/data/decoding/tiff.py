"""TIFF: from strips or tiles to samples, as the fields say. Nothing is filled in for what is missing.

Pages that PIL decodes rightly (JPEG, Group 4) are left to it. LZW and PackBits are undone by its libtiff, many strips
at once.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from anomaly.counted import counted
from anomaly.data.decoding.jpeg import check_whole
from anomaly.data.decoding.ranges import Values, to_8_bits
from anomaly.data.decoding.stored import StoredPixels
from anomaly.data.decoding.tiff_layout import GROUP_4, Alpha, Layout, Photometric
from anomaly.data.decoding.tiff_tags import Directory, Tag

_MAX_SURPLUS = 8  # bytes of an uncompressed strip that may follow its rows, to align the next
_GROUP_4_END = 0x001001
_BLOCK = 2**20  # samples of packed bits that are unpacked at once
_LIBTIFF_BYTES = 2**24  # of rows that libtiff unpacks at once: each call costs as much as ten thousand bytes
_MAX_CELLS = 2**18  # strips or tiles: as many as 64 million pixels have in the smallest tiles, 16 × 16
_SHARED = 4  # times the bytes of the file that strips may have together: some programs store equal tiles once


def read_pixels(data: bytes, page: Directory, layout: Layout) -> StoredPixels:
    """The pixels of a page.

    Raises:
        ValueError, zlib.error, OSError: strips are missing, too short or damaged.
    """
    samples = read_samples(data, page, layout)
    colours = samples[:, :, : layout.num_colours]
    colours = np.ascontiguousarray(colours[:, :, 0] if layout.num_colours == 1 else colours)
    white = (1 << layout.bits) - 1
    if layout.photometric is Photometric.PALETTE:
        return StoredPixels(palette_of(page, layout.bits)[colours])
    if layout.photometric is Photometric.CMYK:
        inks = to_8_bits(colours, white) if layout.bits == 16 else colours
        return StoredPixels(inks)
    return StoredPixels(
        colours,
        white=None if layout.bits == 16 else white,
        is_white_zero=layout.photometric is Photometric.WHITE_IS_ZERO,
        alpha=None if layout.alpha is None else to_8_bits(samples[:, :, layout.num_colours], white),
        is_associated=layout.alpha is Alpha.ASSOCIATED,
    )


def check_by_pillow(data: bytes, page: Directory, layout: Layout) -> None:
    """What PIL does not check of the strips that it decodes: that they are there, and whole.

    A strip of Group 4 ends with its mark (ITU-T T.6, section 2.4.1.1). One of JPEG is a picture of its own, whose
    tables may stand in the directory (TIFF Technical Note 2).

    Raises:
        ValueError: a strip is missing or ends early.
    """
    num_across, num_down = -(-layout.width // layout.cell[0]), -(-layout.height // layout.cell[1])
    num_planes = layout.num_samples if layout.is_planar else 1
    tables = page.fields.get(Tag.JPEG_TABLES, np.empty(0, np.int64)).astype(np.uint8).tobytes()
    for offset, count in zip(*_places(data, page, layout, num_across * num_down * num_planes), strict=True):
        strip = data[offset : offset + count]
        if layout.compression == GROUP_4:
            tail = int.from_bytes(strip[-5:])
            if not any(tail >> shift & 0xFFFFFF == _GROUP_4_END for shift in range(16)):
                raise ValueError("the file is truncated: a strip ends early")
        else:
            check_whole(tables[:-2] + strip[2:] if len(tables) > 2 else strip, within=layout.cell)


def read_samples(data: bytes, page: Directory, layout: Layout) -> Values:
    """(h, w, samples that are seen), uint8 or uint16. Raises as `read_pixels` does."""
    num_seen = layout.num_colours + (layout.alpha is not None)
    cell_width, cell_height = layout.cell
    num_across, num_down = -(-layout.width // cell_width), -(-layout.height // cell_height)
    num_planes, num_in_cell = (layout.num_samples, 1) if layout.is_planar else (1, layout.num_samples)
    offsets, counts = _places(data, page, layout, num_across * num_down * num_planes)
    samples = np.zeros((layout.height, layout.width, num_seen), np.uint16 if layout.bits > 8 else np.uint8)
    num = num_across * num_down * (num_seen if layout.is_planar else 1)
    num_rows = [
        cell_height if layout.is_tiled else min(cell_height, layout.height - index % num_down * cell_height)
        for index in range(num)
    ]
    packed = (data[offset : offset + count] for offset, count in zip(offsets[:num], counts[:num], strict=True))
    row_bytes = -(-cell_width * num_in_cell * layout.bits // 8)
    for index, rows in enumerate(_undo_compression(packed, num_rows, layout, row_bytes)):
        plane, place = divmod(index, num_across * num_down)
        top, left = place // num_across * cell_height, place % num_across * cell_width
        height, width = min(cell_height, layout.height - top), min(cell_width, layout.width - left)
        cell = _unpack(rows, (num_rows[index], cell_width, num_in_cell), layout, page.order)
        here = samples[top : top + height, left : left + width]
        if layout.is_planar:
            here[:, :, plane] = cell[:height, :width, 0]
        else:
            here[:] = cell[:height, :width, :num_seen]
    return samples


def _places(data: bytes, page: Directory, layout: Layout, num: int) -> tuple[list[int], list[int]]:
    """Offsets and lengths of all strips or tiles, each of them inside the file."""
    kind = "tiles" if layout.is_tiled else "strips"
    names = (Tag.TILE_OFFSETS, Tag.TILE_BYTE_COUNTS) if layout.is_tiled else (Tag.STRIP_OFFSETS, Tag.STRIP_BYTE_COUNTS)
    if any(name not in page.fields for name in names):
        raise ValueError(f"it does not say where its {kind} are, or how long")
    offsets, counts = (page.fields[name] for name in names)
    if len(offsets) < num or len(counts) < num:
        raise ValueError(f"its {kind} are fewer than its height needs")
    if len(offsets) > num:
        raise ValueError(f"its {kind} are more than its height needs")
    if num > _MAX_CELLS:
        raise ValueError(f"it has {num:,} {kind}; at most {_MAX_CELLS:,} are read")
    if (offsets < 0).any() or (counts < 0).any() or int((offsets + counts).max()) > len(data):
        raise ValueError(f"the file is truncated: its {kind} do not all lie in it")
    if int(counts.sum()) > _SHARED * len(data):
        raise ValueError(f"its {kind} overlap, and have more bytes than the file")
    return offsets.tolist(), counts.tolist()


def _undo_compression(packed: Iterable[bytes], num_rows: list[int], layout: Layout, row_bytes: int) -> Iterator[bytes]:
    """The bytes of the rows of each strip or tile, which has so many; a last strip may be filled up to a full one."""
    if layout.compression in (5, 32773):
        unpacked = _by_libtiff(packed, num_rows, layout.compression, row_bytes)
    else:
        unpacked = (_unpacked(each, num, layout, row_bytes) for each, num in zip(packed, num_rows, strict=True))
    for rows, num in zip(unpacked, num_rows, strict=True):
        needed = row_bytes * num
        if len(rows) < needed:
            has = counted(len(rows), "byte")
            raise ValueError(f"the file is truncated: a strip has {has}, and its rows need {needed:,}")
        yield rows[:needed]


def _unpacked(packed: bytes, num_rows: int, layout: Layout, row_bytes: int) -> bytes:
    if layout.compression != 1:
        return zlib.decompressobj().decompress(packed, row_bytes * num_rows)
    if len(packed) > row_bytes * layout.cell[1] + _MAX_SURPLUS:
        raise ValueError("a strip is longer than its rows need")
    return packed


def _by_libtiff(packed: Iterable[bytes], num_rows: list[int], compression: int, row_bytes: int) -> Iterator[bytes]:
    """As if the bytes of several were the pixels of an 8-bit grey picture, whose last strip may have fewer rows."""
    strips: list[bytes] = []
    most = max(1, _LIBTIFF_BYTES // (row_bytes * num_rows[0]))
    for index, (strip, num) in enumerate(zip(packed, num_rows, strict=True), start=1):
        strips.append(strip)
        if len(strips) < most and num == num_rows[0] and index < len(num_rows):
            continue
        height = num_rows[0] * (len(strips) - 1) + num
        rows = _strips_by_libtiff(strips, (row_bytes, height), min(num_rows[0], height), compression)
        for start in range(0, row_bytes * height, row_bytes * num_rows[0]):
            yield rows[start : start + row_bytes * num_rows[0]]
        strips = []


def _strips_by_libtiff(strips: list[bytes], size: tuple[int, int], rows_per_strip: int, compression: int) -> bytes:
    counts = np.array([len(strip) for strip in strips], "<u4")
    offsets = (8 + np.cumsum(counts) - counts).astype("<u4")
    body = b"".join(strips)
    places, inline = 8 + len(body), len(strips) == 1
    fields = [
        (Tag.WIDTH, 1, size[0]), (Tag.LENGTH, 1, size[1]), (Tag.BITS_PER_SAMPLE, 1, 8),
        (Tag.COMPRESSION, 1, compression), (Tag.PHOTOMETRIC, 1, 1),
        (Tag.STRIP_OFFSETS, len(strips), 8 if inline else places),
        (Tag.SAMPLES_PER_PIXEL, 1, 1), (Tag.ROWS_PER_STRIP, 1, rows_per_strip),
        (Tag.STRIP_BYTE_COUNTS, len(strips), len(body) if inline else places + offsets.nbytes),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in fields)
    head = struct.pack("<2sHI", b"II", 42, places + 2 * offsets.nbytes)
    arrays = offsets.tobytes() + counts.tobytes()
    file = BytesIO(head + body + arrays + struct.pack("<H", len(fields)) + directory + bytes(4))
    return TiffImagePlugin.TiffImageFile(file).tobytes()  # past the limit of Image.open: the limits are kept already


def _unpack(rows: bytes, shape: tuple[int, int, int], layout: Layout, order: str) -> Values:
    """(rows, columns, samples). Each row begins at a byte; its bits are in the order of significance."""
    if layout.bits in (8, 16):
        stored = np.frombuffer(rows, np.uint8 if layout.bits == 8 else np.dtype(order + "u2")).reshape(shape)
        values = stored.astype(np.uint16) if layout.bits == 16 else stored
        return np.cumsum(values, axis=1, dtype=values.dtype) if layout.has_predictor else values
    packed = np.frombuffer(rows, np.uint8).reshape(shape[0], -1)
    values = np.empty(shape, np.uint16 if layout.bits > 8 else np.uint8)
    step = max(1, _BLOCK // (shape[1] * shape[2]))
    for first in range(0, shape[0], step):
        block = packed[first : first + step]
        bits = np.unpackbits(block, axis=1, bitorder="little" if layout.has_reversed_bits else "big")
        bits = bits[:, : shape[1] * shape[2] * layout.bits].reshape(len(block), *shape[1:], layout.bits)
        values[first : first + step] = bits @ (1 << np.arange(layout.bits - 1, -1, -1, dtype=values.dtype))
    return values


def palette_of(page: Directory, bits: int) -> NDArray[np.uint8]:
    """(2^bits, 3). Its entries have 16 bits; some programs fill them with 8."""
    entries = page.fields.get(Tag.COLOR_MAP)
    if entries is None or len(entries) != 3 << bits:
        raise ValueError("it has no palette of the right size")
    table = entries.reshape(3, -1).T
    return (table if table.max() < 256 else table >> 8).astype(np.uint8)
