"""The directories of a TIFF: which fields each page has, read without looking at a pixel.

Source: TIFF 6.0, section 2; BigTIFF as libtiff documents it (64-bit offsets, version 43). Fields that are no integers
(texts, resolutions) are left out. Nothing that the file claims is believed: a value must lie inside the file, and the
number of directories and fields that are looked at is bounded. So are their values: a small file could name the same
bytes as the value of each field of each directory, and fill the memory.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain, islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_MAX_DIRECTORIES = 1024
_MAX_FIELDS = 100_000  # of all directories together
_SHARED_BYTES = 2**20  # of values, whatever the size of the file: pages may share some, such as a palette
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}


class Tag(IntEnum):
    """The fields that say how pixels are stored (TIFF 6.0, part 1 and 2)."""

    NEW_SUBFILE_TYPE = 254
    SUBFILE_TYPE = 255
    WIDTH = 256
    LENGTH = 257
    BITS_PER_SAMPLE = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES_PER_PIXEL = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTE_COUNTS = 279
    PLANAR = 284
    PREDICTOR = 317
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_LENGTH = 323
    TILE_OFFSETS = 324
    TILE_BYTE_COUNTS = 325
    SUB_DIRECTORIES = 330
    INK_SET = 332
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    JPEG_TABLES = 347


_WANTED = frozenset(Tag)


@dataclass(frozen=True)
class Directory:
    """One page: its number among the pages (None: a page inside another), the byte order, and its fields."""

    page: int | None
    order: Literal["<", ">"]
    fields: dict[int, NDArray[np.int64]]

    def values(self, tag: Tag, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """All values of a field with few of them."""
        found = self.fields.get(tag)
        return default if found is None else tuple(found[:16].tolist())

    def value(self, tag: Tag, default: int) -> int:
        """The first value of a field."""
        return next(iter(self.values(tag)), default)

    @property
    def is_reduced_or_mask(self) -> bool:
        """A thumbnail, or the transparency mask of another page (NewSubfileType bits 0 and 2; SubfileType 2)."""
        return bool(self.value(Tag.NEW_SUBFILE_TYPE, 0) & 0b101) or self.value(Tag.SUBFILE_TYPE, 1) == 2

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as stored."""
        return self.value(Tag.WIDTH, 0), self.value(Tag.LENGTH, 0)


def read_directories(data: bytes) -> list[Directory]:
    """The pages in order, then the pages inside them; at least one.

    Raises:
        ValueError: a directory or a value of it lies outside the file, or there are too many or too large ones.
    """
    order: Literal["<", ">"] = "<" if data[:2] == b"II" else ">"
    reader = _Reader(data, order, is_big=int.from_bytes(data[2:4], "little" if order == "<" else "big") == 43)
    found: list[Directory] = []
    seen: set[int] = set()
    offset = reader.first()
    while offset and offset not in seen and len(found) < _MAX_DIRECTORIES:
        seen.add(offset)
        fields, offset = reader.directory(offset)
        found.append(Directory(len(found), order, fields))
    if not found:
        raise ValueError("it has no directory")
    named = (page.fields.get(Tag.SUB_DIRECTORIES, np.empty(0, np.int64)) for page in found[:])
    inner = chain.from_iterable(each[:_MAX_DIRECTORIES].tolist() for each in named)
    for at in islice(inner, _MAX_DIRECTORIES - len(found)):
        if at not in seen:
            seen.add(at)
            found.append(Directory(None, order, reader.directory(at)[0]))
    return found


class _Reader:
    def __init__(self, data: bytes, order: Literal["<", ">"], *, is_big: bool) -> None:
        self._data = data
        self._order = order
        self._count, self._offset = ("Q", "Q") if is_big else ("H", "I")
        self._entry = struct.Struct(order + ("HHQ8s" if is_big else "HHI4s"))
        self._first_at = 8 if is_big else 4
        self._num_fields = 0
        self._bytes_left = max(len(data), _SHARED_BYTES)

    def first(self) -> int:
        return self._number(self._offset, self._first_at)

    def directory(self, at: int) -> tuple[dict[int, NDArray[np.int64]], int]:
        """The fields of the directory at this offset, and the offset of the next."""
        num = self._number(self._count, at)
        self._num_fields += num
        if self._num_fields > _MAX_FIELDS:
            raise ValueError(f"its directories have more than {_MAX_FIELDS:,} fields")
        start = at + struct.calcsize(self._count)
        end = start + num * self._entry.size
        if end > len(self._data):
            raise ValueError("a directory lies outside the file")
        fields: dict[int, NDArray[np.int64]] = {}
        for place, (tag, kind, count, inline) in enumerate(self._entry.iter_unpack(self._data[start:end])):
            if tag in _WANTED and tag not in fields and kind in _INTEGERS:
                value_at = start + (place + 1) * self._entry.size - len(inline)
                fields[tag] = self._values(kind, count, value_at, len(inline))
        has_next = end + struct.calcsize(self._offset) <= len(self._data)
        return fields, self._number(self._offset, end) if has_next else 0

    def _values(self, kind: int, count: int, at: int, num_inline: int) -> NDArray[np.int64]:
        dtype = np.dtype(self._order + _INTEGERS[kind])
        if count * dtype.itemsize > num_inline:
            at = self._number(self._offset, at)
        if at + count * dtype.itemsize > len(self._data):
            raise ValueError("a value of its directory lies outside the file")
        self._bytes_left -= count * dtype.itemsize
        if self._bytes_left < 0:
            raise ValueError("the values of its directories overlap, and take more room than the file has")
        return np.frombuffer(self._data, dtype, count, at).astype(np.int64)

    def _number(self, form: str, at: int) -> int:
        if at + struct.calcsize(form) > len(self._data):
            raise ValueError("a directory lies outside the file")
        return int(struct.unpack_from(self._order + form, self._data, at)[0])
