"""PBM, PGM and PPM (PNM): a short header in text, then pixels as bytes, as numbers in text, or as bits.

Source: the manual pages pbm(5), pgm(5) and ppm(5) of Netpbm. The value of white (`maxval`) is declared, 1 … 65535.
"""

import re

import numpy as np

from anomaly.data.decoding.ranges import Values
from anomaly.data.decoding.stored import StoredPixels

_HEADER = re.compile(rb"P([1-6])" + rb"(?:\s|#[^\n\r]*[\n\r])+(\d{1,9})" * 2)
_MAXVAL = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])+(\d{1,5})")
_COMMENT = re.compile(rb"#[^\n\r]*")
SIGNATURES = tuple(b"P%d" % kind for kind in range(1, 7))


class PnmHeader:
    """What the header says: the kind (1 … 6), width and height in pixels, the value of white, and where pixels begin.

    Raises:
        ValueError: it is no such header.
    """

    def __init__(self, data: bytes) -> None:
        head = data[:4096]
        found = _HEADER.match(head)
        if found is None:
            raise ValueError("its header is damaged")
        self.kind, self.width, self.height = (int(number) for number in found.groups())
        self.is_bitmap, self.is_text = self.kind in (1, 4), self.kind <= 3
        end, self.white = found.end(), 1
        if not self.is_bitmap:
            maxval = _MAXVAL.match(head, end)
            if maxval is None:
                raise ValueError("its header is damaged")
            end, self.white = maxval.end(), int(maxval[1])
        if not (head[end : end + 1].isspace() and 1 <= self.white <= 65535 and self.width and self.height):
            raise ValueError("its header is damaged or says 0 pixels")
        self.start = end + 1


def read_pnm(data: bytes, header: PnmHeader) -> StoredPixels:
    """The pixels. Raises ValueError if they are fewer than the header says, or greater than its white."""
    samples = 3 if header.kind in (3, 6) else 1
    shape = (header.height, header.width) if samples == 1 else (header.height, header.width, samples)
    if header.is_bitmap:
        bits = _text_bits(data, header) if header.is_text else _packed_bits(data, header)
        return StoredPixels((1 - bits) * np.uint8(255))  # 1 is black
    num = header.height * header.width * samples
    values = _text_numbers(data, header, num) if header.is_text else _numbers(data, header, num)
    if int(values.max()) > header.white:
        raise ValueError(f"it has values beyond {header.white}, which its header says is white")
    return StoredPixels(values.reshape(shape), white=None if header.white == 65535 else header.white)


def _numbers(data: bytes, header: PnmHeader, num: int) -> Values:
    dtype = np.dtype(np.uint8 if header.white < 256 else ">u2")
    _check_length(len(data) - header.start, num * dtype.itemsize)
    values = np.frombuffer(data, dtype, num, header.start)
    return values.astype(np.uint8 if header.white < 256 else np.uint16)


def _packed_bits(data: bytes, header: PnmHeader) -> Values:
    row_bytes = -(-header.width // 8)
    _check_length(len(data) - header.start, row_bytes * header.height)
    rows = np.frombuffer(data, np.uint8, row_bytes * header.height, header.start).reshape(header.height, row_bytes)
    return np.unpackbits(rows, axis=1)[:, : header.width]


def _text_bits(data: bytes, header: PnmHeader) -> Values:
    num = header.height * header.width
    digits = b"".join(_COMMENT.sub(b"", data[header.start :]).split())
    _check_length(len(digits), num)
    bits = np.frombuffer(digits, np.uint8, num) - np.uint8(ord("0"))
    if int(bits.max()) > 1:
        raise ValueError("its pixels are not all 0 or 1")
    return bits.reshape(header.height, header.width)


def _text_numbers(data: bytes, header: PnmHeader, num: int) -> Values:
    words = _COMMENT.sub(b"", data[header.start :]).split(maxsplit=num)[:num]
    _check_length(len(words), num)
    if not all(word.isdigit() and len(word) <= 5 for word in words):
        raise ValueError("its pixels are not all numbers")
    values = np.array(words).astype(np.uint32)
    if int(values.max()) > header.white:
        raise ValueError(f"it has values beyond {header.white}, which its header says is white")
    return values.astype(np.uint8 if header.white < 256 else np.uint16)


def _check_length(found: int, needed: int) -> None:
    if found < needed:
        raise ValueError(f"the file is truncated: it has {found:,} of the {needed:,} values or bytes of its pixels")
