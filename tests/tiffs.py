"""Writes TIFFs of any layout, without PIL and without the product: what a reader must make of them is known.

Source: TIFF 6.0. LZW is written without compressing: codes of 9 bits, cleared before they would grow (section 13).
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int64]
Fields = dict[int, tuple[int, Sequence[int]]]
"""Tag → (type, values)."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""The bits of a byte from the lowest to the highest, as FillOrder 2 has them."""
NONE, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773


@dataclass(frozen=True)
class TiffForm:
    """How samples are stored. `tile` is a side in pixels; `rows` are those of a strip, all of them unless given."""

    bits: int = 8
    photometric: int = 1
    is_planar: bool = False
    compression: int = NONE
    order: str = "<"
    is_big: bool = False
    tile: int | None = None
    rows: int | None = None
    extra: tuple[int, ...] = ()
    has_predictor: bool = False
    fields: Fields = field(default_factory=dict)
    """More fields, or others; no values: the field is left out."""


def tiff_of(samples: Samples, form: TiffForm) -> bytes:
    """One page with samples (h, w, s)."""
    return tiff_of_pages([(samples, form)])


def tiff_of_pages(pages: Sequence[tuple[Samples, TiffForm]]) -> bytes:
    """Several pages, in the byte order of the first."""
    first = pages[0][1]
    order, is_big = first.order, first.is_big
    head = b"II" if order == "<" else b"MM"
    head += struct.pack(order + "HHH", 43, 8, 0) if is_big else struct.pack(order + "H", 42)
    link = struct.Struct(order + ("Q" if is_big else "I"))
    body = head + bytes(link.size)
    link_at = len(head)
    for samples, form in pages:
        cells = cells_of(samples, form)
        offsets = []
        for cell in cells:
            offsets.append(len(body))
            body += cell + bytes(len(cell) % 2)
        fields = _fields(samples, form, offsets, [len(cell) for cell in cells])
        body = body[:link_at] + link.pack(len(body)) + body[link_at + link.size :]
        directory, link_at = _directory(fields, order, len(body), is_big=is_big)
        body += directory
    return body


def _fields(
    samples: Samples, form: TiffForm, offsets: list[int], counts: list[int]
) -> dict[int, tuple[int, Sequence[int]]]:
    height, width, num = samples.shape
    fields: Fields = {
        256: (4, [width]), 257: (4, [height]), 258: (3, [form.bits] * num), 259: (3, [form.compression]),
        262: (3, [form.photometric]), 277: (3, [num]), 284: (3, [2 if form.is_planar else 1]),
    }  # fmt: skip
    if form.tile:
        fields |= {322: (4, [form.tile]), 323: (4, [form.tile]), 324: (4, offsets), 325: (4, counts)}
    else:
        fields |= {278: (4, [form.rows or height]), 273: (4, offsets), 279: (4, counts)}
    if form.extra:
        fields[338] = (3, form.extra)
    if form.has_predictor:
        fields[317] = (3, [2])
    return {tag: entry for tag, entry in sorted((fields | form.fields).items()) if len(entry[1])}


def _directory(fields: Fields, order: str, at: int, *, is_big: bool) -> tuple[bytes, int]:
    """Its bytes, and where the link to the next one is in the file."""
    letters = {1: "B", 3: "H", 4: "I", 16: "Q"}
    inline, entry_size = (8, 20) if is_big else (4, 12)
    count, link = ("Q", "Q") if is_big else ("H", "I")
    size = struct.calcsize(count) + entry_size * len(fields) + struct.calcsize(link)
    entries, tail = b"", b""
    for tag, (kind, values) in fields.items():
        raw = struct.pack(f"{order}{len(values)}{letters[kind]}", *values)
        if len(raw) > inline:
            value = struct.pack(order + link, at + size + len(tail))
            tail += raw + bytes(len(raw) % 2)
        else:
            value = raw.ljust(inline, b"\0")
        entries += struct.pack(order + "HH" + link, tag, kind, len(values)) + value
    head = struct.pack(order + count, len(fields)) + entries
    return head + bytes(struct.calcsize(link)) + tail, at + len(head)


def cells_of(samples: Samples, form: TiffForm) -> list[bytes]:
    """The bytes of its strips or tiles."""
    planes = [samples[:, :, i : i + 1] for i in range(samples.shape[2])] if form.is_planar else [samples]
    return [_packed(cell, form) for plane in planes for cell in _cut(plane, form)]


def _cut(plane: Samples, form: TiffForm) -> list[Samples]:
    height, width, _ = plane.shape
    if form.tile is None:
        rows = form.rows or height
        return [plane[top : top + rows] for top in range(0, height, rows)]
    side = form.tile
    padded = np.pad(plane, ((0, -height % side), (0, -width % side), (0, 0)), mode="edge")
    return [
        padded[top : top + side, left : left + side] for top in range(0, height, side) for left in range(0, width, side)
    ]


def _packed(cell: Samples, form: TiffForm) -> bytes:
    if form.has_predictor:
        cell = np.diff(cell, axis=1, prepend=0) % (1 << form.bits)
    rows = cell.reshape(len(cell), -1)
    if form.bits % 8 == 0:
        raw = rows.astype(f"{form.order}u{form.bits // 8}").tobytes()
    else:
        bits = (rows[:, :, None] >> np.arange(form.bits - 1, -1, -1)) & 1
        raw = np.packbits(bits.astype(np.uint8).reshape(len(cell), -1), axis=1).tobytes()
    match form.compression:
        case 5:
            raw = lzw(raw)
        case 8:
            raw = zlib.compress(raw)
        case 32773:
            raw = b"".join(bytes([len(part) - 1]) + part for part in _parts(raw, 128))
    return raw if form.fields.get(266, (3, [1]))[1][0] == 1 else raw.translate(_REVERSED)


def lzw(raw: bytes) -> bytes:
    """Codes of 9 bits: clear, 250 bytes as they are, and so on; then the end."""
    codes: list[int] = []
    for part in _parts(raw, 250):
        codes += [256, *part]
    codes.append(257)
    bits = (np.array(codes)[:, None] >> np.arange(8, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).ravel()).tobytes()


def _parts(raw: bytes, size: int) -> list[bytes]:
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def tiff_of_overlapping_values(num_bytes: int, num_pages: int) -> bytes:
    """Directories of ten fields, each of which names the same bytes as its values."""
    size = struct.calcsize("<H") + 12 * 12 + struct.calcsize("<I")
    start = 8 + num_bytes
    body = struct.pack("<2sHI", b"II", 42, start) + bytes(num_bytes)
    tags = (258, 262, 266, 274, 317, 320, 332, 338, 339, 347)
    for page in range(num_pages):
        entries = [(256, 4, 1, 8), (257, 4, 1, 8), *((tag, 1, num_bytes, 8) for tag in tags)]
        following = start + (page + 1) * size if page + 1 < num_pages else 0
        body += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        body += struct.pack("<I", following)
    return body
