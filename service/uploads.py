"""From a request's body to preprocessed pixels, within limits, and with the event loop left free.

A body is refused by its Content-Length before it is read, and by its true length while it is read; pixels are counted
before they are decoded. Decoding and preprocessing run in a bounded pool of threads.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message

from anomaly.config import PreprocessConfig
from anomaly.data import Limits, decode, preprocess
from service.errors import MalformedRequestError, UnsupportedContentError, UploadTooLargeError
from service.settings import Settings

FORM = "multipart/form-data"
ONE, MANY = "file", "files"
TOO_MANY_FILES = "Too many files"  # how Starlette's parser begins to say so; it has no class of its own for it


@dataclass(frozen=True)
class Upload:
    """One image as it was sent."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Picture:
    """One image ready for the networks: pixels (c, size, size), and the original's height and width in pixels."""

    pixels: NDArray[np.uint8]
    height: int
    width: int


class Uploads:
    """Reads and decodes images. `timed` is entered around each decoding."""

    def __init__(self, settings: Settings, *, timed: Callable[[], AbstractContextManager[None]]) -> None:
        self.limits = Limits(max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels)
        self.max_files = settings.max_files
        self._timed = timed
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="decode")

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown()

    async def read_one(self, request: Request) -> Upload:
        """The one image of a request: the form's field `file`, or the raw body.

        Raises MalformedRequestError, UnsupportedContentError or UploadTooLargeError.
        """
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type.startswith("image/"):
            self._check_length(request)
            return Upload("the image", b"".join([chunk async for chunk in self._limited(request).stream()]))
        uploads = await self._read_form(request, ONE, max_files=1)
        return uploads[0]

    async def read_many(self, request: Request) -> list[Upload]:
        """All images of a form's field `files`, in order. Raises as `read_one` does."""
        return await self._read_form(request, MANY, max_files=self.max_files)

    async def prepare(self, upload: Upload, config: PreprocessConfig) -> Picture:
        """Decode and preprocess an image in a thread. Raises ImageError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._prepare, upload, config)

    def _prepare(self, upload: Upload, config: PreprocessConfig) -> Picture:
        with self._timed():
            image = decode(upload.data, name=upload.name, limits=self.limits)
            return Picture(preprocess(image, config), image.height, image.width)

    async def _read_form(self, request: Request, field: str, *, max_files: int) -> list[Upload]:
        content_type = request.headers.get("content-type", "")
        if not content_type.lower().startswith(FORM):
            raise UnsupportedContentError(
                f"The body's type is {content_type[:80]!r}; send a form ({FORM}) with files in the field {field!r}"
                + (", or one image's bytes as image/png, image/jpeg …" if field == ONE else ".")
            )
        async with self._form(request, max_files) as form:
            values = form.getlist(field)
            files = [value for value in values if isinstance(value, UploadFile)]
            if not files or len(files) < len(values):
                raise MalformedRequestError(
                    f"The form needs the field {field!r} with a file, but {'it holds text' if values else 'has none'}; "
                    f"with curl: -F {field}=@picture.png"
                )
            return [Upload(file.filename or "the image", await file.read()) for file in files]

    @asynccontextmanager
    async def _form(self, request: Request, max_files: int) -> AsyncIterator[FormData]:
        self._check_length(request)
        try:
            form = await self._limited(request).form(max_files=max_files)
        except HTTPException as error:
            if str(error.detail).startswith(TOO_MANY_FILES):
                raise UploadTooLargeError(
                    f"The form has more files than the {max_files} accepted here; send at most {self.max_files} "
                    f"as {MANY!r} to /score/batch, and more in further requests."
                ) from None
            raise MalformedRequestError(f"The form cannot be read: {error.detail}") from None
        try:
            yield form
        finally:
            await form.close()

    def _check_length(self, request: Request) -> None:
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self.limits.max_bytes:
            raise UploadTooLargeError(f"The body has {length} bytes; at most {self.limits.max_bytes} are accepted.")

    def _limited(self, request: Request) -> Request:
        """The request, but reading more than the limit raises; for bodies that do not tell their length."""
        num_bytes = 0

        async def receive() -> Message:
            nonlocal num_bytes
            message = await request.receive()
            num_bytes += len(message.get("body", b""))
            if num_bytes > self.limits.max_bytes:
                raise UploadTooLargeError(f"The body has more than the {self.limits.max_bytes} bytes accepted.")
            return message

        return Request(request.scope, receive)
