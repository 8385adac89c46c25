"""Forms (`multipart/form-data`, RFC 7578) as the clients in use send them, read in memory.

python-multipart splits a form into its parts. Here is what it leaves to others: text before the first boundary and
behind the last one (RFC 2046, section 5.1.1), whether the form is whole, and the transfer encodings of parts.
"""

import asyncio
import binascii
from base64 import b64decode
from binascii import a2b_qp
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.edge.filenames import as_text, filename_of
from service.errors import MalformedRequestError, UploadTooLargeError
from service.schemas.labels import MAX_NAME

MAX_TEXTS = 16
"""Fields without a file in a form with one image; one with several may have as many more as it may have images."""
MAX_TEXT_BYTES = 4 * MAX_NAME
"""Bytes of one such field: what the longest one that is accepted has at most in UTF-8."""
MAX_PREAMBLE_BYTES = 64 * 2**10


@dataclass
class FormPart:
    """One part of a form, the field `name`: a file if it has a file name or a type of images or bytes; else a text."""

    name: str
    filename: str | None
    content_type: str
    encoding: str
    pieces: list[bytes] = field(default_factory=list)
    num_bytes: int = 0

    @property
    def is_file(self) -> bool:
        """Whether it is a file."""
        return self.filename is not None or self.content_type.startswith(("image/", "application/octet-stream"))

    async def take(self) -> bytes:
        """Its bytes, decoded as its Content-Transfer-Encoding says; kept no longer. Raises MalformedRequestError."""
        data, self.pieces = b"".join(self.pieces), []
        if self.encoding in ("", "binary", "8bit", "7bit"):
            return data
        return await asyncio.to_thread(self._decoded, data)  # many bytes take long

    def _decoded(self, data: bytes) -> bytes:
        match self.encoding:
            case "quoted-printable":
                return a2b_qp(data)
            case "base64":
                try:
                    return b64decode(data.translate(None, b" \t\r\n"), validate=True)
                except binascii.Error as error:
                    raise MalformedRequestError(
                        f"The part {self.filename or self.name!r} says that it is base64, but it is not: {error}. "
                        "Send the file's bytes as they are."
                    ) from None
        raise MalformedRequestError(
            f"The part {self.filename or self.name!r} has the Content-Transfer-Encoding {self.encoding[:40]!r}; send "
            "the file's bytes as they are, or as base64."
        )


class FormReader:
    """Reads one form, piece by piece. `feed` and `finish` raise MalformedRequestError or UploadTooLargeError."""

    def __init__(self, content_type: str, *, max_files: int, max_texts: int = MAX_TEXTS) -> None:
        """`content_type` is the request's header, which names the boundary."""
        _, options = parse_options_header(content_type)
        if not (boundary := options.get(b"boundary")):
            raise MalformedRequestError(
                "The form cannot be read: its Content-Type names no boundary. Let your HTTP library write that header."
            )
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_header_name,
                    "on_header_value": self._add_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._add_data,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise MalformedRequestError(f"The form cannot be read: {error}.") from None
        self._delimiter = b"--" + boundary
        self._closing = b"\r\n--" + boundary + b"--"
        self._max_files = max_files
        self._max_texts = max_texts
        self._parts: list[FormPart] = []
        self._num_files = 0
        self._preamble: bytearray | None = bytearray()  # None once the first boundary has come
        self._last = self._piece = b""
        self._read_to = 0  # in the piece
        self._epilogue: bytearray | None = None  # None until the last boundary has come

    def feed(self, piece: bytes) -> None:
        """Read on."""
        if self._epilogue is not None:
            self._epilogue += piece
            return
        self._piece, self._read_to = self._after_preamble(piece), 0
        piece = self._piece
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise MalformedRequestError(f"The form cannot be read: {error}.") from None
        self._note_epilogue(piece)
        length = len(self._closing)
        self._last = piece[-length:] if len(piece) >= length else (self._last + piece)[-length:]

    def finish(self) -> list[FormPart]:
        """The parts, in order, once all has come."""
        if self._preamble is not None and self._delimiter not in self._preamble:
            raise MalformedRequestError(
                f"The form cannot be read: the boundary that its Content-Type names, {self._shown()}, is nowhere in "
                "it. Let your HTTP library write both, and end each line of a part's head with CR LF."
            )
        if self._epilogue is None:
            raise MalformedRequestError(
                "The form is not whole: it ends without its closing boundary, so it was cut off on its way, or its "
                f"last line, {self._shown('--')}, was not sent. Nothing of it was scored; send it again."
            )
        self._check_outside(self._epilogue, "behind its closing boundary")
        return self._parts

    def _after_preamble(self, piece: bytes) -> bytes:
        """What of a piece is not before the first boundary."""
        if self._preamble is None:
            return piece
        self._preamble += piece
        is_first = self._preamble.startswith(self._delimiter)
        start = 0 if is_first else self._preamble.find(b"\n" + self._delimiter) + 1
        follows = start + len(self._delimiter)
        is_found = (is_first or start > 0) and len(self._preamble) > follows
        if not is_found and len(self._preamble) > MAX_PREAMBLE_BYTES:
            raise MalformedRequestError(
                f"The form cannot be read: its first boundary, {self._shown()}, does not come within "
                f"{MAX_PREAMBLE_BYTES} bytes."
            )
        if not is_found:
            return b""
        if self._preamble[follows] == ord("\n"):
            raise MalformedRequestError(
                "The form cannot be read: its lines end with LF alone. End them with CR LF (RFC 2046)."
            )
        preamble, begun = self._preamble[:start], bytes(self._preamble[start:])
        self._preamble = None
        self._check_outside(preamble, "before its first boundary")
        return begun

    def _note_epilogue(self, piece: bytes) -> None:
        """If the last boundary has come with this piece, keep what is behind it."""
        if self._epilogue is not None:
            start = len(self._last) + self._read_to if self._read_to else 0  # a head may have a line like the boundary
            self._epilogue += (self._last + piece)[start:].partition(self._closing)[2]

    def _note_read(self, data: bytes, end: int) -> None:
        """The parser has taken heads or contents as far as `end`; it keeps what could begin a boundary to itself."""
        if data is self._piece:
            self._read_to = end

    def _check_outside(self, text: bytearray, where: str) -> None:
        """Some programs write a line of text there; a part there is in no form that anybody would read."""
        if self._delimiter in text or b"content-disposition" in text.lower():
            raise MalformedRequestError(
                f"The form cannot be read: there are parts {where}, which would be left out. Send one form."
            )

    def _shown(self, suffix: str = "") -> str:
        return repr(self._delimiter.decode("latin-1")[:80] + suffix)

    def _begin_part(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._note_read(data, end)

    def _end_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _end_headers(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        if b"name" not in options:
            raise MalformedRequestError(
                'The form cannot be read: a part has no Content-Disposition with a name, as in form-data; name="file".'
            )
        part = FormPart(
            name=as_text(options[b"name"]),
            filename=filename_of(disposition, options.get(b"filename")),
            content_type=as_text(self._headers.get(b"content-type", b"")).strip().lower(),
            encoding=as_text(self._headers.get(b"content-transfer-encoding", b"")).strip().lower(),
        )
        if part.content_type.startswith("multipart/"):
            raise MalformedRequestError(
                f"The form's field {part.name[:80]!r} holds a form of its own ({part.content_type[:40]}), as RFC 2388 "
                "had it for several files, and RFC 7578 has no more. Send each file as a part with that name."
            )
        self._parts.append(part)
        self._num_files += part.is_file
        if self._num_files > self._max_files:
            raise UploadTooLargeError(
                f"The form has more files than the {self._max_files} accepted here; send several as 'files' to "
                "/score/batch, and what is too much for one request in further ones."
            )
        if len(self._parts) - self._num_files > self._max_texts:
            raise MalformedRequestError(f"The form has more than {self._max_texts} fields without a file.")

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self._note_read(data, end)
        part = self._parts[-1]
        part.pieces.append(data[start:end])
        part.num_bytes += end - start
        if part.num_bytes > MAX_TEXT_BYTES and not part.is_file:
            raise MalformedRequestError(
                f"The form's field {part.name[:80]!r} holds a text of more than {MAX_TEXT_BYTES} bytes. Send an image "
                "as a file, with a file name; with curl: -F file=@picture.png"
            )

    def _end(self) -> None:
        self._epilogue = bytearray()
