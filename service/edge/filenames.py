"""Names of uploaded files as clients write them: plain, in words of RFC 2047, after RFC 5987, or in pieces (RFC 2231).

Whatever comes, a name is text that can be written as UTF-8. A client's coding is taken only if it is one of a few:
Python knows many that are no coding of characters, or that give half characters.
"""

import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from urllib.parse import unquote_to_bytes

from service.errors import MalformedRequestError

CHARSETS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii", "iso-8859-1": "latin-1",
    "latin1": "latin-1", "windows-1252": "cp1252", "cp1252": "cp1252",
}  # fmt: skip
_PARAMETER = re.compile(rb';\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)(?:"|$)|([^;]*))', re.DOTALL)
"""A name, and a value with or without quotes; what is in quotes is no parameter."""
_EXTENDED = re.compile(rb"([^']*)'[^']*'(.*)", re.DOTALL)
"""`utf-8''%C3%A4.png` (RFC 5987, section 3.2)."""
_PIECE = re.compile(rb"filename\*(\d{1,3})(\*?)")
"""`filename*0`, and `filename*0*` if it is also coded (RFC 2231, sections 3 and 4.1)."""


def filename_of(disposition: bytes, plain: bytes | None) -> str | None:
    """The file's name in a Content-Disposition, None if there is none; `plain` is that of its `filename`.

    Raises MalformedRequestError if it comes in pieces of which one is missing.
    """
    found = {}
    if b"*" in disposition:
        found = {key.lower(): quoted or bare.strip() for key, quoted, bare in _PARAMETER.findall(disposition)}
    if extended := _EXTENDED.fullmatch(found.get(b"filename*", b"")):
        charset = _known(extended[1])
        if charset or plain is None:  # of a coding that is not known, the plain name is better
            return as_text(unquote_to_bytes(extended[2]), charset)
    if plain is not None:
        return _words(as_text(plain))
    return _joined(found)


def as_text(data: bytes, charset: str | None = None) -> str:
    """Text that is almost always in UTF-8, unless it says otherwise; else in ISO 8859-1, which takes all bytes."""
    try:
        return data.decode(charset or "utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _joined(parameters: dict[bytes, bytes]) -> str | None:
    """A name of which `filename*0`, `filename*1`, … are the pieces."""
    pieces = {
        int(piece[1]): (bool(piece[2]), value)
        for key, value in parameters.items()
        if (piece := _PIECE.fullmatch(key)) is not None
    }
    if not pieces:
        return None
    if set(pieces) != set(range(len(pieces))):
        raise MalformedRequestError(
            "The form cannot be read: a file's name comes in pieces (filename*0, filename*1, …), of which one is "
            "missing. Send the name whole, as filename=\"…\" or as filename*=utf-8''…"
        )
    charset = None
    is_coded, first = pieces[0]
    if is_coded and (extended := _EXTENDED.fullmatch(first)):
        charset, pieces[0] = _known(extended[1]), (True, extended[2])
    data = b"".join(unquote_to_bytes(value) if coded else value for _, (coded, value) in sorted(pieces.items()))
    return as_text(data, charset)


def _words(name: str) -> str:
    """The text of encoded words; what is none, or cannot be decoded, is as it is."""
    if not (name.startswith("=?") and name.endswith("?=")):
        return name
    try:
        words = decode_header(name)
        known = [(text, charset and CHARSETS[charset.lower()]) for text, charset in words]
        return str(make_header(known)).encode("utf-8").decode("utf-8") or name
    except (HeaderParseError, LookupError, ValueError):
        return name


def _known(charset: bytes) -> str | None:
    return CHARSETS.get(charset.decode("latin-1").strip().lower())
