"""Forms (`multipart/form-data`, RFC 7578) read piece by piece as they come, into memory that is bounded by its caller.

The framework's own reader puts each file into a temporary file, which costs more than scoring a small image; this one
uses the same parser, python-multipart's, which bounds the parts' heads.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import MalformedRequestError, UploadTooLargeError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

CONTENT_TYPE = "multipart/form-data"
NAMELESS = "the image"


@dataclass(frozen=True)
class Upload:
    """One image as it was sent."""

    name: str
    data: bytes


class FormReader:
    """Collects the files of one field; `write` the body's pieces, then ask for `files`.

    All methods raise MalformedRequestError for what is no such form, or UploadTooLargeError for more than `max_files`.
    """

    def __init__(self, content_type: str, field: str, *, max_files: int) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise MalformedRequestError("The form cannot be read: its Content-Type names no boundary.")
        self.field = field
        self.max_files = max_files
        self._files: list[Upload] = []
        self._num_files = 0
        self._has_text = False
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._filename: str | None = None
        self._pieces: list[bytes] | None = None
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._add_to_header,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_content,
            "on_part_data": self._add_to_content,
            "on_part_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise _unreadable(error) from None

    def write(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _unreadable(error) from None

    def files(self) -> list[Upload]:
        """The field's files in order, at least one, once the body is complete."""
        try:
            self._parser.finalize()
        except FormParserError as error:
            raise _unreadable(error) from None
        if self._has_text or not self._files:
            got = "it holds text" if self._has_text else "has none"
            raise MalformedRequestError(
                f"The form needs the field {self.field!r} with a file, but {got}; "
                f"with curl: -F {self.field}=@picture.png"
            )
        return self._files

    def _begin(self) -> None:
        self._header = self._value = self._disposition = b""
        self._filename, self._pieces = None, None

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _begin_content(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if b"name" not in options:
            raise MalformedRequestError("The form cannot be read: a part's Content-Disposition has no name.")
        is_wanted = options[b"name"] == self.field.encode()
        if b"filename" not in options:
            self._has_text |= is_wanted
            return
        self._num_files += 1
        if self._num_files > self.max_files:
            raise UploadTooLargeError(
                f"The form has more files than the {self.max_files} accepted here; send several as 'files' to "
                "/score/batch, and what is too much for one request in further ones."
            )
        if is_wanted:
            self._filename, self._pieces = _decode(options[b"filename"]), []

    def _add_to_content(self, data: bytes, start: int, end: int) -> None:
        if self._pieces is not None:
            self._pieces.append(data[start:end])

    def _end(self) -> None:
        if self._pieces is not None:
            self._files.append(Upload(self._filename or NAMELESS, b"".join(self._pieces)))


def _decode(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


def _unreadable(error: FormParserError) -> MalformedRequestError:
    return MalformedRequestError(f"The form cannot be read: {error}")
