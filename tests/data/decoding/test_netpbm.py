"""PBM, PGM and PPM in every kind, with comments, any white and 8 or 16 bits; by values known beforehand."""

import numpy as np
import pytest

from anomaly.data import Remark, decode
from anomaly.data.decoding.decode import look, measure
from anomaly.errors import ImageError, ImageTooLargeError, UndecodableImageError


def seen(data: bytes) -> object:
    return np.asarray(decode(data, name="it")).tolist()


def test_every_kind() -> None:
    assert seen(b"P1\n# two\n2 2\n1 0\n01") == [[0, 255], [255, 0]]
    assert seen(b"P2 2 1 # white\n 3 0 3") == [[0, 255]]
    assert seen(b"P3 1 1 255\n1 2 3") == [[[1, 2, 3]]]
    assert seen(b"P4 9 1\n\x80\x80") == [[0, *[255] * 7, 0]]
    assert seen(b"P5 2 1 255\n\x01\xff") == [[1, 255]]
    assert seen(b"P6 1 1 255\n\x01\x02\x03") == [[[1, 2, 3]]]


@pytest.mark.parametrize("white", [1, 100, 255, 256, 1023, 4095, 65534])
def test_any_white(white: int) -> None:
    values = np.linspace(0, white, 7).round().astype(int)
    body = values.astype(np.uint8 if white < 256 else ">u2").tobytes()
    data = b"P5 7 1 %d\n" % white + body
    assert seen(data) == [np.floor(values * 255 / white + 0.5).astype(int).tolist()]
    assert measure(data, name="it") is None


def test_the_full_16_bits_have_the_range_of_the_training_images() -> None:
    data = b"P5 2 1 65535\n" + np.array([0, 4095], ">u2").tobytes()
    assert measure(data, name="it") == 4095
    assert np.asarray(decode(data, name="it", value_range=12)).tolist() == [[0, 255]]
    assert seen(data) == [[0, 16]]


@pytest.mark.parametrize(
    "data",
    [
        b"P5 2 1 255\n\x01", b"P5 2 1 0\n\x01\x01", b"P5 2 1 65536\n\x01\x01\x01\x01", b"P5 0 1 255\n", b"P5 2",
        b"P2 2 1 3 0 4", b"P2 2 1 3 0 x", b"P2 2 1 3 0", b"P1 2 1 1 2", b"P1 2 1 1", b"P4 9 1\n\x80",
        b"P6 1 1 9\n\x0a\0\0",
    ],
)  # fmt: skip
def test_what_is_cut_or_no_such_file_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodableImageError, match=r"^it: "):
        decode(data, name="it")


def test_sizes_are_checked_first_and_other_kinds_are_no_images() -> None:
    with pytest.raises(ImageTooLargeError, match="100000 × 100000"):
        decode(b"P5 100000 100000 255\n", name="it")
    for head in (b"P7\nWIDTH 1", b"Pf 1 1 1.0\n", b"P8 1 1 1\n"):
        with pytest.raises(ImageError, match="not in an accepted image format"):
            decode(head, name="it")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P5\r\n2 1\r\n255\r\n\x01\xff", [[1, 255]]),
        (b"P5\n2 1\n255\r\n\x01\xff", [[1, 255]]),
        (b"P5\n2 1\n255\r\n\xff", [[10, 255]]),  # as the format says: one byte, then pixels
        (b"P6\r\n1 1\r\n255\r\n\x01\x02\x03", [[[1, 2, 3]]]),
        (b"P4\r\n9 1\r\n\x80\x80", [[0, *[255] * 7, 0]]),
        (b"P5\r\n1 1\r\n65534\r\n\xff\xfe", [[255]]),
        (b"P2\r\n2 1\r\n3\r\n0 3\r\n", [[0, 255]]),
    ],
)
def test_a_header_with_line_ends_of_two_bytes(data: bytes, expected: object) -> None:
    assert seen(data) == expected


@pytest.mark.parametrize(
    "data", [b"P5\r\n2 1\r\n255\r\n\xff", b"P5\n2 1\n255\r\n\x01\xff\r\n", b"P4\r\n9 1\r\n\x80\x80\r\n"]
)
def test_where_the_length_does_not_tell_it_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodableImageError, match=r"^it: .*CR LF"):
        decode(data, name="it")


@pytest.mark.parametrize(
    "data",
    [b"P1 2 1 1 0\n", b"P2 2 1 3 0 3\n", b"P4 9 1\n\x80\x80", b"P5 2 1 255\n\x01\xff", b"P6 1 1 999\n" + b"\x01" * 6],
)
def test_the_first_of_several_is_read_and_said(data: bytes) -> None:
    both = look(data + data, name="it")
    assert both.remarks == {Remark.FIRST_OF_SEVERAL}
    assert np.asarray(both.image).tolist() == seen(data)
    for end in (b"", b"\n", b" P", b"P8 ", b"Plate 7"):
        assert look(data + end, name="it").remarks == frozenset()
