"""A request's body: one raw image, or a form with image files (`forms`), read within limits.

A body is refused by its Content-Length before it is read, and by its true length while it is read. Files are kept in
memory: for small images a temporary file costs more than scoring. docs/service.md has the table of what is accepted.
"""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header

from service.edge.filenames import filename_of
from service.edge.forms import MAX_TEXTS, FormPart, FormReader
from service.edge.headers import header
from service.errors import ClientGoneError, MalformedRequestError, UnsupportedContentError, UploadTooLargeError
from service.schemas.labels import FILE_NAME

FORM, BYTES = "multipart/form-data", "application/octet-stream"
ONE, MANY = "file", "files"
IMAGE_FIELD = re.compile(r"(file|image|img|picture|photo|upload)s?[-_]?\d*(\[\d*\])?", re.IGNORECASE)
"""How clients call the field of an image, or of one among several: file, files[], image, image_2, files[0]."""
IN_TEXT = (b"data:", b"iVBORw0KGgo", b"/9j/")
"""How a data URL begins, and the base64 of PNG and JPEG."""
ADVICE = {
    "application/x-www-form-urlencoded": ", which curl's -d and --data-binary send unless told otherwise; with curl: "
    "-F file=@picture.png, or --data-binary @picture.png -H 'Content-Type: image/png'.",
    "application/json": ", and images in JSON are not read; decode the base64, and send a form or the image's bytes.",
}
"""What some types come from, and what to do instead."""


@dataclass(frozen=True)
class Upload:
    """One image as it was sent; `name` is its file's, None if none came with it."""

    name: str | None
    data: bytes


class Grow(Protocol):
    """Reserves memory for bytes that were not announced, or raises what the request is refused with."""

    def __call__(self, *, num_bytes: int) -> None:
        """Reserve so many more."""


@dataclass(frozen=True)
class BodyLimits:
    """Bytes of a body, and files of a batch."""

    max_bytes: int
    max_files: int


class Body:
    """One request's body. Raises UploadTooLargeError or UnsupportedContentError if its head says enough."""

    def __init__(self, request: Request, limits: BodyLimits) -> None:
        self.announced_bytes = _announced_bytes(request, limits)
        """Its length by the request's head, 0 if that does not say."""
        self.texts: list[tuple[str, str]] = []
        """A form's fields without a file, once it has been read."""
        self._request = request
        self._limits = limits
        self._type = request.headers.get("content-type", "")
        self._kind = self._type.partition(";")[0].strip().lower()
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in ("identity", ""):
            raise UnsupportedContentError(
                f"The body has the Content-Encoding {encoding[:40]!r}, and nothing is unpacked here; send it as it is."
            )

    @property
    def is_form(self) -> bool:
        """Whether it may have fields beside the images."""
        return self._kind == FORM

    async def read_one(self, grow: Grow) -> Upload:
        """The one image of a request: a form's file, or the raw body.

        Raises MalformedRequestError, UnsupportedContentError, UploadTooLargeError or ClientGoneError.
        """
        if self.is_form:
            return (await self._read_form(grow, ONE, max_files=1, max_texts=MAX_TEXTS))[0]
        if not (self._kind.startswith("image/") or self._kind in (BYTES, "")):
            raise self._unsupported(ONE)
        name = _name_in_head(self._request)
        data = await self.read_all(grow)
        if not (data or self._kind):
            raise self._unsupported(ONE)
        if data.startswith(IN_TEXT):
            raise UnsupportedContentError("The body is an image in base64; decode it, and send the bytes.")
        return Upload(name, data)

    async def read_all(self, grow: Grow) -> bytes:
        """The whole body, whatever it is. Raises UploadTooLargeError or ClientGoneError."""
        return b"".join([piece async for piece in self._pieces(grow)])

    async def read_many(self, grow: Grow) -> list[Upload]:
        """All images of a form, in order; it may have a text for each of them too. Raises as `read_one` does."""
        if not self.is_form:
            raise self._unsupported(MANY)
        most = self._limits.max_files
        return await self._read_form(grow, MANY, max_files=most, max_texts=MAX_TEXTS + most)

    async def _read_form(self, grow: Grow, field: str, *, max_files: int, max_texts: int) -> list[Upload]:
        reader = FormReader(self._type, max_files=max_files, max_texts=max_texts)
        async for piece in self._pieces(grow):
            reader.feed(piece)
        files = []
        for part in reader.finish():
            _check_field(part, field)
            if part.is_file:
                files.append(Upload(_checked(part.filename, "form"), await part.take()))
            else:
                self.texts.append((part.name, (await part.take()).decode("utf-8", "replace")))
        if not files:
            raise MalformedRequestError(
                f"The form needs the field {field!r} with a file, but has none; with curl: -F {field}=@picture.png"
            )
        return files

    def _unsupported(self, field: str) -> UnsupportedContentError:
        others = ", or one image's bytes as image/png, image/jpeg …" if field == ONE else "."
        advice = ADVICE.get(self._kind, f"; send a form ({FORM}) with files in the field {field!r}{others}")
        return UnsupportedContentError(f"The body's type is {self._type[:80]!r}{advice}")

    async def _pieces(self, grow: Grow) -> AsyncGenerator[bytes, None]:
        """The body as it comes; `grow` is told of what was not announced."""
        num_bytes, counted, more = 0, self.announced_bytes, True
        while more:
            message = await self._request.receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError("The client hung up before all of its body had come.")
            piece, more = message.get("body", b""), message.get("more_body", False)
            num_bytes += len(piece)
            if num_bytes > self._limits.max_bytes:
                raise UploadTooLargeError(f"The body has more than the {self._limits.max_bytes} bytes accepted.")
            if num_bytes > counted:
                grow(num_bytes=num_bytes - counted)
                counted = num_bytes
            yield piece


def _announced_bytes(request: Request, limits: BodyLimits) -> int:
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        return 0
    if int(length) > limits.max_bytes:
        raise UploadTooLargeError(f"The body has {length} bytes; at most {limits.max_bytes} are accepted.")
    return int(length)


def _name_in_head(request: Request) -> str | None:
    """The file's name by the head of a request whose body is the image (RFC 6266)."""
    disposition = header(request.scope, b"content-disposition")
    if disposition is None:
        return None
    raw = disposition.encode("latin-1")
    return _checked(filename_of(raw, parse_options_header(raw)[1].get(b"filename")), "header Content-Disposition")


def _checked(name: str | None, place: str) -> str | None:
    """A file's name, None if it is empty. Raises RequestValidationError."""
    try:
        return FILE_NAME.validate_python(name) if name else None
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": (place, "filename")} for each in error.errors()]) from None


def _check_field(part: FormPart, field: str) -> None:
    """Raise MalformedRequestError for a file in a field of unclear meaning, or a text where a file belongs."""
    if bool(IMAGE_FIELD.fullmatch(part.name)) == part.is_file:
        return
    if part.is_file:
        raise MalformedRequestError(
            f"The form has a file in the field {part.name[:80]!r}, of which nothing is known here; send images in the "
            f"field {field!r}."
        )
    raise MalformedRequestError(
        f"The form's field {part.name[:80]!r} needs a file, but it holds text; with curl: -F {field}=@picture.png"
    )


async def disconnection(request: Request) -> None:
    """Return when the client has hung up. The request's body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
