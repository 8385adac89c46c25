"""PBM, PGM and PPM (PNM): a short header in text, then pixels as bytes, as numbers in text, or as bits.

Source: the manual pages pbm(5), pgm(5) and ppm(5) of Netpbm. The value of white (`maxval`) is declared, 1 … 65535.
"""

import re

import numpy as np

from anomaly.data.decoding.ranges import Values
from anomaly.data.decoding.stored import StoredPixels

_HEADER = re.compile(rb"P([1-6])" + rb"(?:\s|#[^\n\r]*[\n\r])+(\d{1,9})" * 2)
_MAXVAL = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])+(\d{1,5})")
_NEXT = re.compile(rb"\s*P[1-6][\s#]")
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
        if not self.is_text and head[end : end + 2] == b"\r\n":
            self.start = self._after_crlf(len(data), has_crlf_before=b"\r\n" in head[:end])

    @property
    def num_samples(self) -> int:
        """The samples of a pixel: grey, or red, green and blue."""
        return 3 if self.kind in (3, 6) else 1

    @property
    def num_bytes(self) -> int:
        """The bytes that all pixels take, where they are not text."""
        if self.is_bitmap:
            return -(-self.width // 8) * self.height
        return self.width * self.height * self.num_samples * (1 if self.white < 256 else 2)

    def _after_crlf(self, length: int, *, has_crlf_before: bool) -> int:
        """Some programs end lines with two bytes, and the formats have one: the second may be a pixel of the value 10.

        The length tells.
        """
        surplus = length - self.start - self.num_bytes
        if surplus == 1:
            return self.start + 1
        if surplus == 0 and not has_crlf_before:
            return self.start
        raise ValueError(
            "its header ends in two bytes (CR LF) instead of one, and its length does not tell where the pixels begin: "
            "save it again with line ends of one byte (LF)"
        )


def read_pnm(data: bytes, header: PnmHeader) -> StoredPixels:
    """The pixels. Raises ValueError if they are fewer than the header says, or greater than its white."""
    samples = header.num_samples
    shape = (header.height, header.width) if samples == 1 else (header.height, header.width, samples)
    if header.is_bitmap:
        bits, rest = _text_bits(data, header) if header.is_text else _packed_bits(data, header)
        return StoredPixels((1 - bits) * np.uint8(255), is_first_of_several=_holds_another(rest))  # 1 is black
    num = header.height * header.width * samples
    values, rest = _text_numbers(data, header, num) if header.is_text else _numbers(data, header, num)
    if int(values.max()) > header.white:
        raise ValueError(f"it has values beyond {header.white}, which its header says is white")
    white = None if header.white == 65535 else header.white
    return StoredPixels(values.reshape(shape), white=white, is_first_of_several=_holds_another(rest))


def _holds_another(rest: bytes) -> bool:
    """Whether another picture follows, by the start of what is left."""
    return _NEXT.match(rest) is not None


def _numbers(data: bytes, header: PnmHeader, num: int) -> tuple[Values, bytes]:
    _check_length(len(data) - header.start, header.num_bytes)
    values = np.frombuffer(data, np.uint8 if header.white < 256 else ">u2", num, header.start)
    return values.astype(np.uint8 if header.white < 256 else np.uint16), _after(data, header)


def _packed_bits(data: bytes, header: PnmHeader) -> tuple[Values, bytes]:
    _check_length(len(data) - header.start, header.num_bytes)
    rows = np.frombuffer(data, np.uint8, header.num_bytes, header.start).reshape(header.height, -1)
    return np.unpackbits(rows, axis=1)[:, : header.width], _after(data, header)


def _after(data: bytes, header: PnmHeader) -> bytes:
    end = header.start + header.num_bytes
    return data[end : end + 64]


def _text_bits(data: bytes, header: PnmHeader) -> tuple[Values, bytes]:
    num = header.height * header.width
    digits = b"".join(_COMMENT.sub(b"", data[header.start :]).split())
    _check_length(len(digits), num)
    bits = np.frombuffer(digits, np.uint8, num) - np.uint8(ord("0"))
    if int(bits.max()) > 1:
        raise ValueError("its pixels are not all 0 or 1")
    return bits.reshape(header.height, header.width), digits[num : num + 2] + b" "


def _text_numbers(data: bytes, header: PnmHeader, num: int) -> tuple[Values, bytes]:
    words = _COMMENT.sub(b"", data[header.start :]).split(maxsplit=num)
    words, rest = words[:num], b"".join(words[num:])
    _check_length(len(words), num)
    if not all(word.isdigit() and len(word) <= 5 for word in words):
        raise ValueError("its pixels are not all numbers")
    values = np.array(words).astype(np.uint32)
    if int(values.max()) > header.white:
        raise ValueError(f"it has values beyond {header.white}, which its header says is white")
    return values.astype(np.uint8 if header.white < 256 else np.uint16), rest


def _check_length(found: int, needed: int) -> None:
    if found < needed:
        raise ValueError(f"the file is truncated: it has {found:,} of the {needed:,} values or bytes of its pixels")
