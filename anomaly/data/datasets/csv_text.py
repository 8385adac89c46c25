"""Tables as people's programs write them: CSV of any usual delimiter, encoding and line end, to a header and lines.

Read are: commas, semicolons and tabs, found by the header or said by a first line `sep=;`; UTF-8 with or without a
byte-order mark, UTF-16 with one; line ends of Unix, Windows and old Macs; blank lines, lines of nothing but delimiters,
and spaces around fields. Anything else is refused by its name.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anomaly.errors import DataError, reason_of
from anomaly.files import text_encoding

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}

_SEP_LINE = re.compile(r'"?sep=(?P<delimiter>[^\r\n])"?[,;\t ]*(?=[\r\n]|$)', re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """One line of a table that is not blank: its number in the file, and its fields as they are written."""

    number: int
    fields: list[str]


@dataclass(frozen=True)
class Table:
    """A header, its names in lower case and without spaces around them, and the lines below it."""

    header: list[str]
    lines: list[Line]


def read_table(path: Path, wanted: Sequence[str]) -> Table:
    """The table in a file whose header has all the `wanted` names; nameless columns at the right are left out.

    Raises:
        DataError: the file cannot be read, is no CSV, or has no header with these names.
    """
    text = _decode(path)
    said = _SEP_LINE.match(text)
    delimiter = _delimiter(text, wanted, path) if said is None else said["delimiter"]
    if delimiter not in DELIMITERS:
        raise DataError(
            f"{path}: line 1 says that {delimiter!r} separates the fields; expected one of "
            f"{', '.join(DELIMITERS.values())}: save it with one of these"
        )
    lines = list(_lines(text, delimiter, path))[said is not None :]
    header = _header(lines[0].fields) if lines else []
    if not set(wanted) <= set(header):
        raise _no_header(header, wanted, path)
    return Table(header, lines[1:])


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason_of(error)}); expected a CSV file in UTF-8") from error
    encoding = text_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}: cannot be read (line {number} has the byte 0x{data[error.start]:02x}, which is not "
            f"{encoding.removesuffix('-sig').upper()}); expected a CSV file in UTF-8: save it so, in Excel as "
            "“CSV UTF-8”"
        ) from error
    if "\0" in text:
        raise DataError(
            f"{path}: cannot be read (it has zero bytes, as UTF-16 without a byte-order mark has); expected a CSV file "
            "in UTF-8: save it so"
        )
    return text


def _delimiter(text: str, wanted: Sequence[str], path: Path) -> str:
    """The one by which the first line that is not blank has the wanted names."""
    headers: dict[str, list[str]] = {}
    for delimiter in DELIMITERS:
        try:
            first = next(_lines(text, delimiter, path), None)
        except DataError:  # quotes that are right by another delimiter
            first = None
        headers[delimiter] = _header(first.fields) if first else []
        if set(wanted) <= set(headers[delimiter]):
            return delimiter
    raise _no_header(max(headers.values(), key=len), wanted, path)


def _lines(text: str, delimiter: str, path: Path) -> Iterator[Line]:
    """Those that are not blank. The csv module finds line ends by itself, also those of old Macs."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield Line(reader.line_num, fields)
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is not CSV ({error})") from error


def _header(fields: Sequence[str]) -> list[str]:
    names = [field.strip().casefold() for field in fields]
    while names and not names[-1]:
        names.pop()
    return names


def _no_header(header: Sequence[str], wanted: Sequence[str], path: Path) -> DataError:
    return DataError(
        f"{path}: line 1 names the columns {','.join(header) or '(none)'}; expected {','.join(wanted)} and, if wanted, "
        f"more, separated by {', '.join(DELIMITERS.values())}"
    )
