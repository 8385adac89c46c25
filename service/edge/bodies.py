"""A request's body: one raw image, or a form (`multipart/form-data`, RFC 7578) with image files, read within limits.

A body is refused by its Content-Length before it is read, and by its true length while it is read. Forms are read by
Starlette's parser, with files kept in memory: for small images a temporary file costs more than scoring.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from service.errors import MalformedRequestError, UnsupportedContentError, UploadTooLargeError

FORM = "multipart/form-data"
ONE, MANY = "file", "files"
NAMELESS = "the image"
MAX_TEXTS = 1000
"""Fields without a file in one form. They are not used, but kept until the form is read, each with some overhead."""
TOO_MANY_FILES = "Too many files"
"""How Starlette's message begins for a form with more than `max_files`."""


@dataclass(frozen=True)
class Upload:
    """One image as it was sent."""

    name: str
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
    """One request's body. Raises UploadTooLargeError if its announced length is too large."""

    def __init__(self, request: Request, limits: BodyLimits) -> None:
        self.announced_bytes = _announced_bytes(request, limits)
        """Its length by the request's head, 0 if that does not say."""
        self._request = request
        self._limits = limits
        self._type = request.headers.get("content-type", "")

    async def read_one(self, grow: Grow) -> Upload:
        """The one image of a request: the form's field `file`, or the raw body.

        Raises MalformedRequestError, UnsupportedContentError, UploadTooLargeError or ClientDisconnect.
        """
        if self._type.strip().lower().startswith("image/"):
            return Upload(NAMELESS, b"".join([piece async for piece in self._pieces(grow)]))
        return (await self._read_form(grow, ONE, max_files=1))[0]

    async def read_many(self, grow: Grow) -> list[Upload]:
        """All images of a form's field `files`, in order. Raises as `read_one` does."""
        return await self._read_form(grow, MANY, max_files=self._limits.max_files)

    async def _read_form(self, grow: Grow, field: str, *, max_files: int) -> list[Upload]:
        if not self._type.strip().lower().startswith(FORM):
            raise UnsupportedContentError(
                f"The body's type is {self._type[:80]!r}; send a form ({FORM}) with files in the field "
                + repr(field)
                + (", or one image's bytes as image/png, image/jpeg …" if field == ONE else ".")
            )
        parser = _MemoryParser(
            self._request.headers,
            self._pieces(grow),
            max_files=max_files,
            max_fields=MAX_TEXTS,
            max_part_size=self._limits.max_bytes,
        )
        try:
            return await _files(await parser.parse(), field)
        except MultiPartException as error:
            raise _refusal(error, max_files) from None
        finally:
            parser.close()

    async def _pieces(self, grow: Grow) -> AsyncGenerator[bytes, None]:
        """The body as it comes; `grow` is told of what was not announced."""
        num_bytes, counted, more = 0, self.announced_bytes, True
        while more:
            message = await self._request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            piece, more = message.get("body", b""), message.get("more_body", False)
            num_bytes += len(piece)
            if num_bytes > self._limits.max_bytes:
                raise UploadTooLargeError(f"The body has more than the {self._limits.max_bytes} bytes accepted.")
            if num_bytes > counted:
                grow(num_bytes=num_bytes - counted)
                counted = num_bytes
            yield piece


class _MemoryParser(MultiPartParser):
    spool_max_size = 0  # for `tempfile` that means: never on disk

    def close(self) -> None:
        """Close all files, those of parts that were cut off too, which are in no form."""
        for file in self._files_to_close_on_error:
            file.close()


def _announced_bytes(request: Request, limits: BodyLimits) -> int:
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        return 0
    if int(length) > limits.max_bytes:
        raise UploadTooLargeError(f"The body has {length} bytes; at most {limits.max_bytes} are accepted.")
    return int(length)


async def _files(form: FormData, field: str) -> list[Upload]:
    parts = form.getlist(field)
    files = [part for part in parts if isinstance(part, UploadFile)]
    if not files or len(files) < len(parts):
        got = "it holds text" if parts else "has none"
        raise MalformedRequestError(
            f"The form needs the field {field!r} with a file, but {got}; with curl: -F {field}=@picture.png"
        )
    return [Upload(file.filename or NAMELESS, await file.read()) for file in files]


async def disconnection(request: Request) -> None:
    """Return when the client has hung up. The request's body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refusal(error: MultiPartException, max_files: int) -> MalformedRequestError | UploadTooLargeError:
    if error.message.startswith(TOO_MANY_FILES):
        return UploadTooLargeError(
            f"The form has more files than the {max_files} accepted here; send several as 'files' to "
            "/score/batch, and what is too much for one request in further ones."
        )
    return MalformedRequestError(f"The form cannot be read: {error.__cause__ or error.message}")
