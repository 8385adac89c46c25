"""The certificate that the server shows where it speaks TLS itself, without a proxy."""

import logging
import re
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from anomaly.errors import UsageError, reason_of
from service.edge.keys import SOON_S

logger = logging.getLogger(__name__)

_FIRST = re.compile(rb"-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END ", re.DOTALL)
"""The server's own stands before those that signed it."""
_VERSION, _TWO_DIGITS = 0xA0, 0x17
"""Tags: of the version, which a certificate need not have, and of a time whose year has two digits."""


class Certificate:
    """The files of a certificate and its key, and until when what they had last is valid."""

    def __init__(self, cert: Path, key: Path | None) -> None:
        """`key` is in the same file if it is None. Raises UsageError if the two cannot be used."""
        self._cert, self._key = cert, key
        self.end = self._read(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        """The Unix time of its end."""
        self._tell_end()

    def renew(self, context: ssl.SSLContext) -> None:
        """Let a context that is in use show what the files have now; what cannot be used is only logged."""
        try:
            end = self._read(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # a bad one must not spoil the one in use
            self._read(context)
        except UsageError as error:
            logger.error("the certificate stays as it was: %s", error)
        else:
            self.end = end
            self._tell_end()

    def _read(self, context: ssl.SSLContext) -> float:
        """When it ends. Raises UsageError if a file is missing, cannot be read, or does not belong to the other."""
        options = {"--tls-cert": self._cert, "--tls-key": self._key}
        for option, path in options.items():
            try:
                if path is not None:
                    path.read_bytes()
            except OSError as error:
                raise UsageError(f"The file of {option}, {path}, cannot be read: {reason_of(error)}.") from None
        try:
            context.load_cert_chain(self._cert, self._key or self._cert, password=_refuse_password)
            return _end_of(self._cert.read_bytes())
        except ssl.SSLError as error:
            raise UsageError(self._explain(error)) from None
        except ValueError:  # its end, of which OpenSSL thinks only when it verifies
            raise UsageError(f"The certificate {self._cert} has no readable end, so clients refuse it.") from None

    def _explain(self, error: ssl.SSLError) -> str:
        cert, key = self._cert, self._key or self._cert
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"The key {key} does not belong to the certificate {cert}; give the two that were made together."
        return (
            f"The certificate {cert} or the key {key} cannot be used ({error.reason or error}). Both are PEM files "
            "('-----BEGIN …'): the certificate, followed by those that signed it, and the key, without a password."
        )

    def _tell_end(self) -> None:
        day = datetime.fromtimestamp(self.end, UTC).isoformat(" ", "minutes").removesuffix("+00:00")
        if self.end <= time.time():
            logger.warning("the certificate %s has ended on %s (UTC): clients that check it refuse it", self._cert, day)
        elif self.end - time.time() < SOON_S:
            logger.warning("the certificate %s ends on %s (UTC): renew it, and send SIGHUP", self._cert, day)


def _end_of(pem: bytes) -> float:
    """When the first certificate of a file, which OpenSSL has read, ends (RFC 5280, section 4.1).

    The standard library tells it only of certificates that it has verified.
    """
    found = _FIRST.search(pem)
    assert found  # noqa: S101  # OpenSSL has read it
    head, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    der = ssl.PEM_cert_to_DER_cert(f"{head}{found[2].decode('ascii')}{end}")
    _, certificate = next(_elements(der))
    _, signed = next(_elements(certificate))
    fields = [content for tag, content in _elements(signed) if tag != _VERSION]
    _, (tag, told) = _elements(fields[3])
    text = told.decode("ascii")
    century = ("19" if text >= "50" else "20") if tag == _TWO_DIGITS else ""
    return datetime.strptime(century + text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element."""
    at = 0
    while at < len(der):
        tag, num = der[at], der[at + 1]
        at += 2
        if num > 127:  # the next bytes have the length, so many
            at, num = at + num - 128, int.from_bytes(der[at : at + num - 128], "big")
        yield tag, der[at : at + num]
        at += num


def _refuse_password() -> str:
    return ""  # else OpenSSL asks the terminal
