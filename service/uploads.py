"""From a request's body to preprocessed pixels, within limits.

A body is refused by its Content-Length before it is read, and by its true length while it is read; pixels are counted
before they are decoded. `prepare` is for a thread of its own: it never runs on the event loop.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

from fastapi import Request
from starlette.requests import ClientDisconnect

from anomaly.config import PreprocessConfig
from anomaly.data import Limits, decode, preprocess
from service.admission import Room
from service.batcher import Picture
from service.errors import UnsupportedContentError, UploadTooLargeError
from service.forms import CONTENT_TYPE, NAMELESS, FormReader, Upload
from service.settings import Settings

ONE, MANY = "file", "files"


class Uploads:
    """Reads and decodes images. `timed` is entered around each decoding."""

    def __init__(self, settings: Settings, *, timed: Callable[[], AbstractContextManager[None]]) -> None:
        self.limits = Limits(max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels)
        self.max_files = settings.max_files
        self._timed = timed

    def announced_bytes(self, request: Request) -> int:
        """How long the body says it will be, 0 if it does not. Raises UploadTooLargeError."""
        length = request.headers.get("content-length", "")
        if not length.isdigit():
            return 0
        if int(length) > self.limits.max_bytes:
            raise UploadTooLargeError(f"The body has {length} bytes; at most {self.limits.max_bytes} are accepted.")
        return int(length)

    async def read_one(self, request: Request, room: Room) -> Upload:
        """The one image of a request: the form's field `file`, or the raw body.

        Raises MalformedRequestError, UnsupportedContentError, UploadTooLargeError or ClientDisconnect.
        """
        if request.headers.get("content-type", "").strip().lower().startswith("image/"):
            return Upload(NAMELESS, b"".join([piece async for piece in self._pieces(request, room)]))
        return (await self._read_form(request, room, ONE, max_files=1))[0]

    async def read_many(self, request: Request, room: Room) -> list[Upload]:
        """All images of a form's field `files`, in order. Raises as `read_one` does."""
        return await self._read_form(request, room, MANY, max_files=self.max_files)

    def prepare(self, upload: Upload, config: PreprocessConfig) -> Picture:
        """Decode and preprocess an image. Blocking. Raises ImageError."""
        with self._timed():
            image = decode(upload.data, name=upload.name, limits=self.limits)
            return Picture(preprocess(image, config), image.height, image.width)

    async def _read_form(self, request: Request, room: Room, field: str, *, max_files: int) -> list[Upload]:
        content_type = request.headers.get("content-type", "")
        if not content_type.strip().lower().startswith(CONTENT_TYPE):
            raise UnsupportedContentError(
                f"The body's type is {content_type[:80]!r}; send a form ({CONTENT_TYPE}) with files in the field "
                + repr(field)
                + (", or one image's bytes as image/png, image/jpeg …" if field == ONE else ".")
            )
        form = FormReader(content_type, field, max_files=max_files)
        async for piece in self._pieces(request, room):
            form.write(piece)
        return form.files()

    async def _pieces(self, request: Request, room: Room) -> AsyncIterator[bytes]:
        """The body as it comes; `room` grows with what was not announced."""
        num_bytes, counted, more = 0, self.announced_bytes(request), True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            piece, more = message.get("body", b""), message.get("more_body", False)
            num_bytes += len(piece)
            if num_bytes > self.limits.max_bytes:
                raise UploadTooLargeError(f"The body has more than the {self.limits.max_bytes} bytes accepted.")
            if num_bytes > counted:
                room.widen(num_bytes=num_bytes - counted)
                counted = num_bytes
            yield piece
