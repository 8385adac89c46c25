import asyncio
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from service.edge.bodies import Body, BodyLimits, Upload
from service.edge.forms import MAX_PREAMBLE_BYTES, MAX_TEXT_BYTES, MAX_TEXTS
from service.errors import (
    ClientGoneError,
    MalformedRequestError,
    OverloadedError,
    UnsupportedContentError,
    UploadTooLargeError,
)

FORM = "multipart/form-data; boundary=x"
MAX_BYTES = 200_000


def part(data: bytes, disposition: str, content_type: str = "text/plain") -> bytes:
    head = f"--x\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {content_type}\r\n\r\n"
    return head.encode() + data + b"\r\n"


def file(data: bytes, *, field: str = "files", name: str = "a.png") -> bytes:
    return part(data, f'name="{field}"; filename="{name}"', "image/png")


def in_pieces(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({cut for cut in cuts if cut < len(body)}), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


class Client:
    """Sends a body in pieces, or hangs up after them; counts how many were asked for."""

    def __init__(self, *pieces: bytes, hangs_up: bool = False) -> None:
        self.messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": piece, "more_body": hangs_up or i < len(pieces) - 1}
            for i, piece in enumerate(pieces)
        ]
        self.messages += [{"type": "http.disconnect"}] * hangs_up
        self.num_read = 0

    async def __call__(self) -> dict[str, Any]:
        self.num_read += 1
        return self.messages[self.num_read - 1]


class Reserved:
    """What was reserved beyond the announced length; refuses more than `limit`."""

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self.num_bytes = 0
        self.limit = limit

    def __call__(self, *, num_bytes: int) -> None:
        self.num_bytes += num_bytes
        if self.num_bytes > self.limit:
            raise OverloadedError("full")


def request(client: Callable[[], Any], content_type: str, length: int | None = None) -> Request:
    headers = [(b"content-type", content_type.encode("latin-1"))]
    headers += [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, client)


def read(*pieces: bytes, max_files: int = 10, content_type: str = FORM) -> list[Upload]:
    body = Body(request(Client(*pieces), content_type), BodyLimits(MAX_BYTES, max_files))
    return asyncio.run(body.read_many(Reserved()))


def read_one(client: Client, reserved: Reserved, *, length: int | None = None, content_type: str = FORM) -> Upload:
    body = Body(request(client, content_type, length), BodyLimits(MAX_BYTES, max_files=1))
    return asyncio.run(body.read_one(reserved))


@given(
    st.lists(st.binary(max_size=300).filter(lambda data: b"\r\n--x" not in data), min_size=1, max_size=5),
    st.lists(st.integers(1, 2000), max_size=20),
)
def test_files_come_out_as_they_went_in_however_the_body_is_cut(contents: list[bytes], cuts: Sequence[int]) -> None:
    body = b"".join(file(data, name=str(i)) for i, data in enumerate(contents)) + b"--x--\r\n"
    assert read(*in_pieces(body, cuts)) == [Upload(str(i), data) for i, data in enumerate(contents)]


@given(st.lists(st.integers(1, 400), max_size=20))
def test_what_stands_about_a_form_is_told_from_a_second_form_however_it_is_cut(cuts: Sequence[int]) -> None:
    body = b"a preamble\r\n" + file(b"data") + b"--x--\r\nan epilogue\r\n"
    assert read(*in_pieces(body, cuts)) == [Upload("a.png", b"data")]
    with pytest.raises(MalformedRequestError, match="behind its closing boundary"):
        read(*in_pieces(body + file(b"more") + b"--x--\r\n", cuts))
    with pytest.raises(MalformedRequestError, match="before its first boundary"):
        read(*in_pieces(file(b"more").replace(b"--x", b"--y") + body, cuts))


@given(st.integers(1, 400))
def test_a_form_that_is_cut_anywhere_is_refused(length: int) -> None:
    whole = file(b"1") + file(b"\r\n--") + b"--x--"
    if length < len(whole):
        with pytest.raises(MalformedRequestError, match=r"not whole|is nowhere in it"):
            read(whole[:length])
    else:
        assert len(read(whole)) == 2


@pytest.mark.parametrize("field", ["file", "files", "files[]", "files[0]", "Image", "images", "img_2", "photo-3"])
def test_the_usual_names_of_an_images_field_are_known(field: str) -> None:
    assert read(file(b"1"), file(b"2", field=field), b"--x--") == [Upload("a.png", b"1"), Upload("a.png", b"2")]


@pytest.mark.parametrize("field", ["mask", "model", "", "myfile", "profile", "files[x]"])
def test_a_file_in_any_other_field_is_refused_by_its_name(field: str) -> None:
    with pytest.raises(MalformedRequestError, match=re.escape(f"file in the field {field!r}")):
        read(file(b"1"), file(b"2", field=field), b"--x--")


@pytest.mark.parametrize(
    ("name", "expected"), [("zéro.png".encode(), "zéro.png"), (b"z\xe9ro.png", "zéro.png"), (b"", None)]
)
def test_names_are_read_as_utf_8_or_else_latin_1(name: bytes, expected: str | None) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="' + name + b'"\r\n\r\n'
    assert read(head + b"data\r\n--x--") == [Upload(expected, b"data")]


def test_more_files_than_accepted_are_refused_as_soon_as_they_begin() -> None:
    client = Client(file(b"1") + file(b"2"), file(b"3"), b"the rest")
    body = Body(request(client, FORM), BodyLimits(MAX_BYTES, max_files=2))
    with pytest.raises(UploadTooLargeError, match="the 2 accepted"):
        asyncio.run(body.read_many(Reserved()))
    assert client.num_read == 2


def test_texts_beside_the_files_are_kept_up_to_a_number_and_a_size() -> None:
    texts = [part("ä".encode() * i, f'name="note-{i}"') for i in range(MAX_TEXTS + 1)]
    body = Body(request(Client(*texts[:-1], file(b"yes"), b"--x--"), FORM), BodyLimits(MAX_BYTES, 1))
    assert asyncio.run(body.read_many(Reserved())) == [Upload("a.png", b"yes")]
    assert body.texts == [(f"note-{i}", "ä" * i) for i in range(MAX_TEXTS)]
    with pytest.raises(MalformedRequestError, match="more than 16 fields"):
        read_one(Client(*texts, file(b"yes"), b"--x--"), Reserved())
    several = Body(request(Client(*texts, file(b"yes"), b"--x--"), FORM), BodyLimits(MAX_BYTES, 1))
    assert asyncio.run(several.read_many(Reserved())) == [Upload("a.png", b"yes")]  # one more for each file
    with pytest.raises(MalformedRequestError, match="text of more than 4096 bytes"):
        read(part(b"x" * (MAX_TEXT_BYTES + 1), 'name="model"'), file(b"yes"), b"--x--")


def test_files_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*args: object, **kwargs: object) -> None:
        raise AssertionError("a file went to disk")

    monkeypatch.setattr("tempfile._TemporaryFileWrapper.__init__", opened)
    monkeypatch.setattr("tempfile.SpooledTemporaryFile.__init__", opened)
    data = bytes(3 * 2**20)
    client = Client(file(data, field="file") + b"--x--")
    body = Body(request(client, FORM), BodyLimits(2**22, max_files=1))
    assert asyncio.run(body.read_one(Reserved(2**22))).data == data


def test_what_was_not_announced_is_reserved_as_it_comes_and_what_was_is_not() -> None:
    body = file(b"x" * 1000, field="file") + b"--x--"
    for announced, reserved in ((None, len(body)), (len(body) - 10, 10), (len(body), 0)):
        found = Reserved()
        assert read_one(Client(body[:100], body[100:]), found, length=announced).data == b"x" * 1000
        assert found.num_bytes == reserved


@pytest.mark.parametrize("content_type", [FORM, "image/png"])
def test_a_body_that_grows_beyond_what_can_be_reserved_is_read_no_further(content_type: str) -> None:
    client = Client(file(b"x" * 1000, field="file"), b"x" * 1000, b"x" * 1000)
    with pytest.raises(OverloadedError):
        read_one(client, Reserved(1500), content_type=content_type)
    assert client.num_read == 2


@pytest.mark.parametrize("content_type", [FORM, "image/png"])
def test_a_body_beyond_the_limit_is_read_no_further(content_type: str) -> None:
    client = Client(file(b"x" * MAX_BYTES, field="file"), b"x")
    with pytest.raises(UploadTooLargeError, match="more than the 200000 bytes"):
        read_one(client, Reserved(2 * MAX_BYTES), content_type=content_type)
    assert client.num_read == 1


def test_an_announced_length_beyond_the_limit_is_refused_unread() -> None:
    client = Client(b"x")
    with pytest.raises(UploadTooLargeError, match="200001 bytes"):
        read_one(client, Reserved(), length=MAX_BYTES + 1)
    assert client.num_read == 0


@pytest.mark.parametrize("content_type", [FORM, "image/png"])
def test_a_client_that_hangs_up_ends_the_reading(content_type: str) -> None:
    with pytest.raises(ClientGoneError):
        read_one(Client(file(b"half", field="file")[:-8], hangs_up=True), Reserved(), content_type=content_type)


def test_a_raw_image_is_taken_as_it_is_and_other_types_are_not() -> None:
    for content_type in ("Image/PNG", "application/octet-stream", ""):
        assert read_one(Client(b"da", b"ta"), Reserved(), content_type=content_type) == Upload(None, b"data")
    with pytest.raises(UnsupportedContentError, match="text/plain"):
        read_one(Client(b"data"), Reserved(), content_type="text/plain")


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
        b"--x--",
        b"x" * (MAX_PREAMBLE_BYTES + 1),
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
        "no part",
        "endless preamble",
    ],
)
def test_what_is_no_such_form_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequestError, match="form"):
        read(body)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 1000])
def test_a_form_needs_a_boundary_of_a_sane_length(content_type: str) -> None:
    with pytest.raises(MalformedRequestError, match="cannot be read"):
        read(b"", content_type=content_type)
