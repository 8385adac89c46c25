"""Requests as clients in use really send them, byte for byte, and what each gets."""

import base64
import json
from dataclasses import dataclass

from tests.field.rows import Row
from tests.service.fakes import png

SECTION = "Requests"
FORM = "multipart/form-data; boundary=XyZ"
CODES = {
    400: "malformed_request", 404: "model_not_found", 405: "method_not_allowed", 413: "upload_too_large",
    415: "unsupported_content_type",
}  # fmt: skip
SEVEN = png(7)
NAMED = b'Content-Disposition: form-data; name="file"; filename="a.png"'


def form(*parts: tuple[bytes, bytes], closing: bytes = b"--XyZ--\r\n", line_end: bytes = b"\r\n") -> bytes:
    """Parts, each a head and a content."""
    body = b"".join(b"--XyZ" + line_end + h + line_end * 2 + content + line_end for h, content in parts)
    return body + closing


def text(name: str, value: str) -> tuple[bytes, bytes]:
    return b'Content-Disposition: form-data; name="%b"' % name.encode(), value.encode()


def file(field: str, tag: int, name: str = "a.png") -> tuple[bytes, bytes]:
    return b'Content-Disposition: form-data; name="%b"; filename="%b"' % (field.encode(), name.encode()), png(tag)


def request(
    body: bytes = b"",
    content_type: str | None = FORM,
    *,
    path: str = "/score",
    method: str = "POST",
    version: str = "1.1",
    host: str | None = "127.0.0.1",
    headers: tuple[str, ...] = (),
) -> bytes:
    lines = [f"{method} {path} HTTP/{version}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    lines += [f"Host: {host}"] if host is not None else []
    lines += [f"Content-Type: {content_type}"] if content_type is not None else []
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Case:
    """A request; its status; the scores and names that it gets, or the code, and a word that the refusal says."""

    what: str
    raw: bytes
    status: int = 200
    scores: tuple[float, ...] = (7.0,)
    names: tuple[str | None, ...] | None = None
    code: str = ""
    says: str = ""

    @property
    def row(self) -> Row:
        return Row(SECTION, self.what, "scored" if self.status == 200 else f"{self.status}: “… {self.says} …”")


def scored(what: str, raw: bytes, *scores: float, names: tuple[str | None, ...] | None = None) -> Case:
    return Case(what, raw, scores=scores or (7.0,), names=names)


def refused(what: str, raw: bytes, status: int, says: str, *, code: str | None = None) -> Case:
    return Case(what, raw, status=status, code=code or CODES[status], says=says)


def malformed(what: str, body: bytes, says: str, *, path: str = "/score") -> Case:
    return refused(what, request(body, path=path), 400, says)


def disposition(line: str) -> bytes:
    return request(form((b"Content-Disposition: form-data; " + line.encode(), SEVEN)))


THREE = form(*(file("files", i, f"{i}.png") for i in range(3)), closing=b"")
BASE64 = base64.encodebytes(SEVEN).replace(b"\n", b"\r\n")
QUOTED = b"".join(b"=%02X" % byte for byte in SEVEN)
FIELDS = (
    scored(
        "`model`, `alpha` and `version` as fields of the form",
        request(form(text("model", "other"), text("version", "1"), text("alpha", "0.3"), file("file", 7))),
        7.5,
    ),
    scored("such fields behind the file", request(form(file("file", 7), text("model", "other"))), 7.5),
    scored(
        "a field that says the same as the query",
        request(form(file("file", 7), text("alpha", "0.30")), path="/score?alpha=0.3&model=other"),
        7.5,
    ),
    scored(
        "a batch with the field `model`",
        request(form(text("model", "other"), file("files", 1), file("files", 2)), path="/score/batch"),
        1.5,
        2.5,
    ),
    malformed(
        "a field that contradicts the query",
        form(text("model", "other"), file("file", 7)),
        "in the query",
        path="/score?model=m",
    ),
    malformed(
        "a field twice, with two values",
        form(text("model", "m"), text("model", "other"), file("file", 7)),
        "given twice",
    ),
    refused(
        "a parameter twice in the query",
        request(SEVEN, "image/png", path="/score?model=m&model=other"),
        400,
        "given twice",
    ),
    refused(
        "a field that is not known",
        request(form(text("note", "x"), file("file", 7))),
        400,
        "form.note",
        code="invalid_parameter",
    ),
    refused(
        "`heatmap` for a batch",
        request(form(text("heatmap", "1"), file("files", 7)), path="/score/batch"),
        400,
        "form.heatmap",
        code="invalid_parameter",
    ),
    refused(
        "a field with a wrong value",
        request(form(text("alpha", "0,05"), file("file", 7))),
        400,
        "0,05",
        code="invalid_parameter",
    ),
    refused(
        "an empty `model`",
        request(form(text("model", ""), file("file", 7))),
        400,
        "form.model",
        code="invalid_parameter",
    ),
    refused("a field that names no model", request(form(text("model", "M"), file("file", 7))), 404, "'M'"),
)
WHOLE = (
    scored(
        "three files in `files`",
        request(THREE + b"--XyZ--\r\n", path="/score/batch"),
        0.0,
        1.0,
        2.0,
        names=("0.png", "1.png", "2.png"),
    ),
    malformed("no closing boundary", THREE, "not whole", path="/score/batch"),
    malformed("no closing boundary, one file", form((NAMED, SEVEN), closing=b""), "not whole"),
    malformed("a closing boundary that is cut", form((NAMED, SEVEN))[:-3], "not whole"),
    malformed("the last file is cut", THREE[:-30], "not whole", path="/score/batch"),
    malformed("only the first boundary", b"--XyZ", "not whole"),
    malformed(
        "a second form behind the closing boundary",
        THREE + b"--XyZ--\r\n" + THREE + b"--XyZ--\r\n",
        "behind its closing boundary",
        path="/score/batch",
    ),
    malformed(
        "a second form with another boundary behind it",
        form((NAMED, SEVEN)) + form((NAMED, SEVEN)).replace(b"XyZ", b"AbC"),
        "behind its closing boundary",
    ),
    malformed(
        "a part of another form before the first boundary",
        b"--AbC\r\n" + NAMED + b"\r\n\r\nx\r\n" + form((NAMED, SEVEN)),
        "before its first boundary",
    ),
    scored(
        "files in `files`, `file`, `files[]` and `image_2`",
        request(form(file("files", 1), file("file", 2), file("files[]", 3), file("image_2", 4)), path="/score/batch"),
        1.0,
        2.0,
        3.0,
        4.0,
    ),
    scored("one file in `files[]`", request(form(file("files[]", 7)))),
    scored("one file in `image`", request(form(file("image", 7)))),
    malformed(
        "a file in a field of unclear meaning", form(file("files", 1), file("mask", 2)), "'mask'", path="/score/batch"
    ),
    malformed("a file in the field `model`", form(file("file", 7), file("model", 1)), "'model'", path="/score/batch"),
    malformed("text in the field `file`, as without curl's @", form(text("file", "a.png")), "-F file=@picture.png"),
    refused("two files to `/score`", request(form(file("file", 7), file("image", 8))), 413, "/score/batch"),
)
NAMES = (
    scored(
        "`filename` in UTF-8", disposition('name="file"; filename="Prüfling 7 😀.png"'), names=("Prüfling 7 😀.png",)
    ),
    scored(
        "`filename*` alone (RFC 5987)",
        disposition("name=\"file\"; filename*=utf-8''%C3%A4%20b.png"),
        names=("ä b.png",),
    ),
    scored(
        "`filename*` in ISO 8859-1", disposition("name=\"file\"; filename*=iso-8859-1'de'%E4.png"), names=("ä.png",)
    ),
    scored(
        "`filename` and `filename*`, bare, as .NET writes them",
        disposition("name=file; filename=a.png; filename*=utf-8''a.png"),
        names=("a.png",),
    ),
    scored(
        "`filename*` in a coding that is not known, or not taken",
        disposition("name=\"file\"; filename*=utf-7''%2B2AA-.png"),
        names=("+2AA-.png",),
    ),
    scored(
        "`filename*=` within a name in quotes",
        disposition('name="file"; filename="a; filename*=utf-8\'\'b.png"'),
        names=("a; filename*=utf-8''b.png",),
    ),
    scored(
        "a name in pieces (RFC 2231)",
        disposition('name="file"; filename*0*=utf-8\'\'%C3%A4; filename*1=".png"'),
        names=("ä.png",),
    ),
    scored("`filename` after RFC 2047", disposition('name="file"; filename="=?utf-8?B?w6QucG5n?="'), names=("ä.png",)),
    scored("a whole path of Windows", disposition('name="file"; filename="C:\\Temp\\new\\a.png"'), names=("a.png",)),
    scored("a quote in a name", disposition('name="file"; filename="a\\"b.png"'), names=('a"b.png',)),
    scored(
        "no file name, but the type of an image",
        request(form((b'Content-Disposition: form-data; name="file"\r\nContent-Type: image/png', SEVEN))),
        names=(None,),
    ),
    scored("heads in other cases", request(form((NAMED.lower(), SEVEN)), "Multipart/Form-Data; BOUNDARY=XyZ")),
    scored("a boundary in quotes", request(form((NAMED, SEVEN)), 'multipart/form-data; charset=utf-8; boundary="XyZ"')),
    scored("spaces about the boundary", request(form((NAMED, SEVEN)), "multipart/form-data; boundary= XyZ ")),
    scored(
        "a text before the first boundary and behind the last",
        request(b"This is a form.\r\n" + form((NAMED, SEVEN)) + b"end\r\n"),
    ),
    scored("a part in base64", request(form((NAMED + b"\r\nContent-Transfer-Encoding: base64", BASE64)))),
    scored(
        "a part in quoted-printable",
        request(form((NAMED + b"\r\nContent-Transfer-Encoding: Quoted-Printable", QUOTED))),
    ),
    scored("a part that says `binary`", request(form((NAMED + b"\r\nContent-Transfer-Encoding: binary", SEVEN)))),
    malformed(
        "a part that says base64 and is not", form((NAMED + b"\r\nContent-Transfer-Encoding: base64", SEVEN)), "base64"
    ),
    malformed(
        "a part in an unknown transfer encoding",
        form((NAMED + b"\r\nContent-Transfer-Encoding: x-uuencode", SEVEN)),
        "x-uuencode",
    ),
    malformed(
        "several files in a form within the form (RFC 2388)",
        form((b'Content-Disposition: form-data; name="files"\r\nContent-Type: multipart/mixed; boundary=B', b"--B--")),
        "'files' holds a form of its own (multipart/mixed",
        path="/score/batch",
    ),
    malformed("lines that end with LF alone", form((NAMED, SEVEN), line_end=b"\n", closing=b"--XyZ--\n"), "CR LF"),
    malformed("another boundary than the head names", form((NAMED, SEVEN)).replace(b"XyZ", b"AbC"), "'--XyZ'"),
    refused(
        "a form without a boundary in its head",
        request(form((NAMED, SEVEN)), "multipart/form-data"),
        400,
        "no boundary",
    ),
)
RAW = (
    scored("the bytes as `image/png`", request(SEVEN, "image/png"), names=(None,)),
    scored("the bytes as another `image/…`", request(SEVEN, "image/jpg")),
    scored("the bytes as `application/octet-stream`", request(SEVEN, "application/octet-stream")),
    scored("the bytes without a type", request(SEVEN, None)),
    scored("HTTP/1.0", request(SEVEN, "image/png", version="1.0")),
    scored("`Host: localhost.`", request(SEVEN, "image/png", host="localhost.:80")),
    refused("neither a body nor a type", request(b"", None), 415, "send a form"),
    refused(
        "curl's `--data-binary` without a type",
        request(SEVEN, "application/x-www-form-urlencoded"),
        415,
        "-F file=@picture.png",
    ),
    refused(
        "base64 in JSON",
        request(json.dumps({"image": base64.b64encode(SEVEN).decode()}).encode(), "application/json"),
        415,
        "decode the base64",
    ),
    refused("base64 as `image/png`", request(base64.b64encode(SEVEN), "image/png"), 415, "decode it"),
    refused(
        "a data URL as `image/png`",
        request(b"data:image/png;base64," + base64.b64encode(SEVEN), "image/png"),
        415,
        "decode it",
    ),
    refused("a compressed body", request(SEVEN, "image/png", headers=("Content-Encoding: gzip",)), 415, "'gzip'"),
    refused(
        "`multipart/mixed`", request(form((NAMED, SEVEN)), "multipart/mixed; boundary=XyZ"), 415, "multipart/form-data"
    ),
    refused("PUT, as `curl -T` sends it", request(SEVEN, None, method="PUT"), 405, "POST"),
    refused("the bytes to `/score/batch`", request(SEVEN, "image/png", path="/score/batch"), 415, "'files'"),
)
CASES = (*FIELDS, *WHOLE, *NAMES, *RAW)
