"""TIFF: from strips or tiles to samples, as the fields say. Nothing is filled in for what is missing.

Pages that PIL decodes rightly (JPEG, Group 4) are left to it. LZW and PackBits are undone by its libtiff, strip by
strip.
"""

import struct
import zlib
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
            check_whole(tables[:-2] + strip[2:] if len(tables) > 2 else strip)


def read_samples(data: bytes, page: Directory, layout: Layout) -> Values:
    """(h, w, samples that are seen), uint8 or uint16. Raises as `read_pixels` does."""
    num_seen = layout.num_colours + (layout.alpha is not None)
    cell_width, cell_height = layout.cell
    num_across, num_down = -(-layout.width // cell_width), -(-layout.height // cell_height)
    num_planes, num_in_cell = (layout.num_samples, 1) if layout.is_planar else (1, layout.num_samples)
    offsets, counts = _places(data, page, layout, num_across * num_down * num_planes)
    samples = np.zeros((layout.height, layout.width, num_seen), np.uint16 if layout.bits > 8 else np.uint8)
    for index in range(num_across * num_down * (num_seen if layout.is_planar else 1)):
        plane, place = divmod(index, num_across * num_down)
        top, left = place // num_across * cell_height, place % num_across * cell_width
        height, width = min(cell_height, layout.height - top), min(cell_width, layout.width - left)
        num_rows = cell_height if layout.is_tiled else height
        packed = data[offsets[index] : offsets[index] + counts[index]]
        row_bytes = -(-cell_width * num_in_cell * layout.bits // 8)
        rows = _undo_compression(packed, layout, row_bytes, num_rows, cell_height)
        cell = _unpack(rows, (num_rows, cell_width, num_in_cell), layout, page.order)
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
    if (offsets < 0).any() or (counts < 0).any() or int((offsets + counts).max()) > len(data):
        raise ValueError(f"the file is truncated: its {kind} do not all lie in it")
    return offsets.tolist(), counts.tolist()


def _undo_compression(packed: bytes, layout: Layout, row_bytes: int, num_rows: int, full_rows: int) -> bytes:
    """The bytes of `num_rows` rows; a last strip may be filled up to `full_rows`."""
    needed = row_bytes * num_rows
    match layout.compression:
        case 1:
            rows = packed
            if len(rows) > row_bytes * full_rows + _MAX_SURPLUS:
                raise ValueError("a strip is longer than its rows need")
        case 5 | 32773:
            rows = _by_libtiff(packed, layout.compression, row_bytes, num_rows)
        case _:
            rows = zlib.decompressobj().decompress(packed, needed)
    if len(rows) < needed:
        has = counted(len(rows), "byte")
        raise ValueError(f"the file is truncated: a strip has {has}, and its rows need {needed:,}")
    return rows[:needed]


def _by_libtiff(packed: bytes, compression: int, row_bytes: int, num_rows: int) -> bytes:
    """As if the bytes were the pixels of an 8-bit grey picture of one strip."""
    fields = [
        (Tag.WIDTH, row_bytes), (Tag.LENGTH, num_rows), (Tag.BITS_PER_SAMPLE, 8), (Tag.COMPRESSION, compression),
        (Tag.PHOTOMETRIC, 1), (Tag.STRIP_OFFSETS, 8), (Tag.SAMPLES_PER_PIXEL, 1), (Tag.ROWS_PER_STRIP, num_rows),
        (Tag.STRIP_BYTE_COUNTS, len(packed)),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields)
    head = struct.pack("<2sHI", b"II", 42, 8 + len(packed))
    file = BytesIO(head + packed + struct.pack("<H", len(fields)) + directory + bytes(4))
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
