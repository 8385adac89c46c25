"""BMP's palettes of two colours and its runs of pixels."""

import struct

import numpy as np
import pytest

from anomaly.data import decode
from anomaly.errors import UndecodableImageError

TABLE = b"".join(bytes([grey, grey, grey, 0]) for grey in range(256))


def bmp_of(body: bytes, *, bits: int, compression: int, width: int, height: int, table: bytes = TABLE) -> bytes:
    num = len(table) // 4 if len(table) // 4 < 1 << bits else 0
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(body), 0, 0, num, 0)
    start = 14 + len(info) + len(table)
    return struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + info + table + body


RUNS = bytes([3, 7, 0, 0, 0, 3, 1, 2, 3, 0, 0, 1])  # three sevens; 1, 2, 3 as they are (padded); the end


def test_runs_of_8_bits() -> None:
    data = bmp_of(RUNS, bits=8, compression=1, width=3, height=2)
    assert np.asarray(decode(data, name="it")).tolist() == [[1, 2, 3], [7, 7, 7]]


@pytest.mark.parametrize(
    "runs", [RUNS[:-4], RUNS[2:], bytes([4, 7]) + RUNS[2:], bytes([2, 7]) + RUNS[2:], b"\0\1", b""]
)
def test_runs_that_do_not_fill_the_picture_are_refused(runs: bytes) -> None:
    with pytest.raises(UndecodableImageError, match=r"^it: .*runs of pixels"):
        decode(bmp_of(runs, bits=8, compression=1, width=3, height=2), name="it")


@pytest.mark.parametrize(("bits", "body"), [(8, bytes([0, 1, 1, 0])), (4, bytes([0x01, 0x10, 0, 0]))])
@pytest.mark.parametrize("is_swapped", [False, True])
def test_two_colours_in_4_and_in_8_bits(bits: int, body: bytes, is_swapped: bool) -> None:
    table = [b"\0\0\0\0", b"\xff\xff\xff\0"]
    data = bmp_of(body, bits=bits, compression=0, width=4, height=1, table=b"".join(table[:: -1 if is_swapped else 1]))
    seen = np.asarray(decode(data, name="it").convert("L"))[0].tolist()
    assert seen == ([255, 0, 0, 255] if is_swapped else [0, 255, 255, 0])


@pytest.mark.parametrize(("bits", "compression"), [(4, 1), (8, 2), (8, 3)])
def test_a_compression_of_other_bits_is_refused(bits: int, compression: int) -> None:
    with pytest.raises(UndecodableImageError, match=rf"compression {compression} does not go with {bits} bits"):
        decode(bmp_of(bytes(8), bits=bits, compression=compression, width=2, height=2), name="it")
