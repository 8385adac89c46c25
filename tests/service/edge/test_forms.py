"""Parts of forms: their names in all codings, their transfer encodings, and the bounds of a reader."""

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.edge.forms import FormPart, FormReader
from service.errors import MalformedRequestError


def parts(
    *heads_and_contents: tuple[str, bytes], content_type: str = "multipart/form-data; boundary=x"
) -> list[FormPart]:
    reader = FormReader(content_type, max_files=9)
    for head, content in heads_and_contents:
        reader.feed(b"--x\r\n" + head.encode("latin-1") + b"\r\n\r\n" + content + b"\r\n")
    reader.feed(b"--x--")
    return reader.finish()


def named(options: str) -> str | None:
    (part,) = parts((f"Content-Disposition: form-data; name=file; {options}", b""))
    return part.filename


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("filename=a.png", "a.png"),
        ("FileName=a.png", "a.png"),
        ('filename=""', ""),
        ("filename*=UTF-8''%e2%82%ac%20rates.png", "€ rates.png"),
        ("filename*=UTF-8'en'a.png; filename=b.png", "a.png"),
        ("filename=b.png; filename*=\"utf-8''a.png\"", "a.png"),
        ("filename*=no-such-coding''%E4.png", "ä.png"),
        ("filename*=utf-8''%E4.png", "ä.png"),
        ("filename*=nothing-of-the-kind", None),
        ('filename="=?ISO-8859-1?Q?Pr=FCfling_7?="', "Prüfling 7"),
        ('filename="=?utf-8?B?!?="', "=?utf-8?B?!?="),
        ('filename="=?nowhere?Q?a?="', "=?nowhere?Q?a?="),
        ('filename="a;b=c.png"', "a;b=c.png"),
        ('filename="=?utf-7?Q?+2AA-?="', "=?utf-7?Q?+2AA-?="),
        ('filename="=?windows-1252?Q?=80?="', "€"),
        ("filename*=utf-7''%2B2AA-.png", "+2AA-.png"),
        ("filename*=unicode_escape''%5Cud800.png", "\\ud800.png"),
        ("filename*=utf-16-le''%00%d8", "\0Ø"),
        ("filename*=rot13''a.png", "a.png"),
        ("filename*=utf-8''%ED%A0%80.png", "í\xa0\x80.png"),
        ("filename*=windows-1252''%80.png", "€.png"),
        ("filename*=utf-7''%2B2AA-.png; filename=b.png", "b.png"),
        ("filename=\"a; filename*=utf-8''b.png\"", "a; filename*=utf-8''b.png"),
        ('filename="a\\"; filename*=utf-8\'\'b.png"', "a\"; filename*=utf-8''b.png"),
        ("filename=\"a\"; filename*=utf-8''b.png", "b.png"),
        ('filename*0="long "; filename*1="name.png"', "long name.png"),
        ("filename*1*=%A4.png; filename*0*=utf-8''%C3", "ä.png"),
        ("filename*0*=iso-8859-1''%E4%20; filename*1=b%20.png", "ä b%20.png"),
        ("filename*0=a; filename=b.png", "b.png"),
        ("", None),
    ],
)
def test_a_name_is_decoded_whatever_its_coding(options: str, expected: str | None) -> None:
    assert named(options) == expected


@given(st.text(alphabet="=?;'\"\\*%+-_0129ABCDabdfilnmetux .", max_size=60))
def test_any_name_can_be_written(options: str) -> None:
    try:
        name = named(f"filename{options}")
    except MalformedRequestError:
        return
    assert (name or "").encode("utf-8").decode("utf-8") == (name or "")


@pytest.mark.parametrize("options", ["filename*1=b.png", "filename*0=a; filename*2=c.png", "filename*1*=utf-8''b.png"])
def test_a_name_in_pieces_of_which_one_is_missing_is_refused(options: str) -> None:
    with pytest.raises(MalformedRequestError, match=r"comes in pieces .* of which one is missing"):
        named(options)


@pytest.mark.parametrize(
    ("head", "is_file"),
    [
        ("", False),
        ("\r\nContent-Type: text/plain; charset=utf-8", False),
        ("\r\nContent-Type: application/json", False),
        ("\r\nContent-Type: IMAGE/png", True),
        ("\r\ncontent-type: application/octet-stream", True),
    ],
)
def test_a_part_without_a_file_name_is_a_file_by_its_type(head: str, is_file: bool) -> None:
    (part,) = parts((f"Content-Disposition: form-data; name=file{head}", b"data"))
    assert part.is_file == is_file


@given(st.binary(max_size=200), st.integers(1, 80))
def test_base64_is_decoded_however_its_lines_are_broken(data: bytes, width: int) -> None:
    coded = base64.b64encode(data)
    lines = b"\r\n".join(coded[i : i + width] for i in range(0, len(coded), width))
    head = "Content-Disposition: form-data; name=file; filename=a\r\nContent-Transfer-Encoding: BASE64"
    (part,) = parts((head, lines))
    assert asyncio.run(part.take()) == data


@pytest.mark.parametrize("coded", [b"abc", b"ab!=", b"\x89PNG"])
def test_what_is_no_base64_is_refused_with_the_parts_name(coded: bytes) -> None:
    head = "Content-Disposition: form-data; name=file; filename=a.png\r\nContent-Transfer-Encoding: base64"
    (part,) = parts((head, coded))
    with pytest.raises(MalformedRequestError, match=r"'a\.png' says that it is base64"):
        asyncio.run(part.take())


@pytest.mark.parametrize("size", [1, 2, 7, 999])
def test_a_head_may_have_a_line_like_the_closing_boundary(size: int) -> None:
    form = b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n--x--: y\r\n\r\n1\r\n--x"
    form += b"\r\nContent-Disposition: form-data; name=file; filename=b\r\n\r\n2\r\n--x--"
    reader, longer = (FormReader("multipart/form-data; boundary=x", max_files=2) for _ in range(2))
    more = form + form[3:]
    for start in range(0, len(more), size):
        reader.feed(form[start : start + size])
        longer.feed(more[start : start + size])
    assert [b"".join(part.pieces) for part in reader.finish()] == [b"1", b"2"]
    with pytest.raises(MalformedRequestError, match="parts behind its closing boundary"):
        longer.finish()


def test_a_boundary_may_be_followed_by_spaces_but_by_nothing_else() -> None:
    head = b"\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
    reader = FormReader("multipart/form-data; boundary=x", max_files=2)
    reader.feed(b"--x" + head + b"1\r\n--x \t" + head + b"2\r\n--x--")
    assert [part.pieces for part in reader.finish()] == [[b"1"], [b"2"]]
    reader = FormReader("multipart/form-data; boundary=x", max_files=2)
    reader.feed(b"--x" + head + b"1\r\n--xy" + head + b"2\r\n--x--")
    assert [b"".join(part.pieces) for part in reader.finish()] == [b"1\r\n--xy" + head + b"2"]
