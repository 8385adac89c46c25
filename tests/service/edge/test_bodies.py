from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service.edge.forms import NAMELESS, FormReader, Upload

from service.errors import MalformedRequestError, UploadTooLargeError

CONTENT_TYPE = "multipart/form-data; boundary=x"


def part(data: bytes, disposition: str) -> bytes:
    return (
        f"--x\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: image/png\r\n\r\n".encode()
        + data
        + b"\r\n"
    )


def file(data: bytes, *, field: str = "files", name: str = "a.png") -> bytes:
    return part(data, f'name="{field}"; filename="{name}"')


def read(*pieces: bytes, max_files: int = 10) -> list[Upload]:
    reader = FormReader(CONTENT_TYPE, "files", max_files=max_files)
    for piece in pieces:
        reader.write(piece)
    return reader.files()


@given(
    st.lists(st.binary(max_size=300).filter(lambda data: b"\r\n--x" not in data), min_size=1, max_size=5),
    st.lists(st.integers(1, 2000), max_size=20),
)
def test_files_come_out_as_they_went_in_however_the_body_is_cut(contents: list[bytes], cuts: Sequence[int]) -> None:
    body = b"".join(file(data, name=str(i)) for i, data in enumerate(contents)) + b"--x--\r\n"
    edges = [0, *sorted({cut for cut in cuts if cut < len(body)}), len(body)]
    pieces = [body[start:end] for start, end in pairwise(edges)]
    assert read(*pieces) == [Upload(str(i), data) for i, data in enumerate(contents)]


def test_only_the_wanted_field_is_kept() -> None:
    other = part(b"x" * 1000, 'name="other"') + file(b"no", field="file")
    assert read(other, file(b"yes"), b"--x--") == [Upload("a.png", b"yes")]


@pytest.mark.parametrize(
    ("name", "expected"), [("zéro.png".encode(), "zéro.png"), (b"z\xe9ro.png", "zéro.png"), (b"", NAMELESS)]
)
def test_names_are_read_as_utf_8_or_else_latin_1(name: bytes, expected: str) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="' + name + b'"\r\n\r\n'
    assert read(head + b"data\r\n--x--") == [Upload(expected, b"data")]


def test_more_files_than_accepted_are_refused_as_soon_as_they_begin() -> None:
    reader = FormReader(CONTENT_TYPE, "files", max_files=2)
    reader.write(file(b"1") + file(b"2"))
    with pytest.raises(UploadTooLargeError, match="the 2 accepted"):
        reader.write(file(b"3"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        file(b"cut off")[:-10],
        file(b"without an end"),
        b"--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--",
        b"--x\r\n\r\nheadless\r\n--x--",
        b"--x\r\nX: " + b"x" * 100_000,
        part(b"text", 'name="files"') + b"--x--",
        file(b"another", field="file") + b"--x--",
    ],
    ids=[
        "empty",
        "text",
        "cut off",
        "no end",
        "no name",
        "no head",
        "endless head",
        "text in the field",
        "other field",
    ],
)
def test_what_is_no_such_form_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequestError, match="form"):
        read(body)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 1000])
def test_a_form_needs_a_boundary_of_a_sane_length(content_type: str) -> None:
    with pytest.raises(MalformedRequestError, match="cannot be read"):
        FormReader(content_type, "files", max_files=1)
