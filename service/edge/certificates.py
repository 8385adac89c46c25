"""The certificate that the server shows where it speaks TLS itself, without a proxy."""

import logging
import math
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

from anomaly.errors import UsageError, reason_of
from service.edge.keys import SOON_S

logger = logging.getLogger(__name__)


class Certificate:
    """The files of a certificate and its key, and until when what they had last is valid."""

    def __init__(self, cert: Path, key: Path | None) -> None:
        """`key` is in the same file if it is None. Raises UsageError if the two cannot be used."""
        self._cert, self._key = cert, key
        self._begin, self.end = self._read(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        """The Unix time of its end; NaN where that cannot be read, though OpenSSL can use the certificate."""
        self._tell_validity()

    def renew(self, context: ssl.SSLContext) -> None:
        """Let a context that is in use show what the files have now; what cannot be used is only logged."""
        try:
            validity = self._read(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # a bad one must not spoil the one in use
            self._read(context)
        except UsageError as error:
            logger.error("the certificate stays as it was: %s", error)
        else:
            self._begin, self.end = validity
            self._tell_validity()

    def _read(self, context: ssl.SSLContext) -> tuple[float, float]:
        """When it begins and ends.

        Raises UsageError if a file is missing, cannot be read, or does not belong to the other.
        """
        options = {"--tls-cert": self._cert, "--tls-key": self._key}
        for option, path in options.items():
            try:
                if path is not None:
                    path.read_bytes()
            except OSError as error:
                raise UsageError(f"The file of {option}, {path}, cannot be read: {reason_of(error)}.") from None
        try:
            context.load_cert_chain(self._cert, self._key or self._cert, password=_refuse_password)
            return _validity_of(self._cert.read_bytes())
        except ssl.SSLError as error:
            raise UsageError(self._explain(error)) from None

    def _explain(self, error: ssl.SSLError) -> str:
        cert, key = self._cert, self._key or self._cert
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"The key {key} does not belong to the certificate {cert}; give the two that were made together."
        return (
            f"The certificate {cert} or the key {key} cannot be used ({error.reason or error}). Both are PEM files "
            "('-----BEGIN …'): the certificate, followed by those that signed it, and the key, without a password."
        )

    def _tell_validity(self) -> None:
        if math.isnan(self.end):
            logger.warning("when the certificate %s ends cannot be read: nothing warns of it", self._cert)
            return
        now = time.time()
        if self._begin > now:
            logger.warning(
                "the certificate %s begins on %s (UTC), and this machine's clock says %s: if the clock is right, "
                "clients that check it refuse it until then",
                *(self._cert, _in_words(self._begin), _in_words(now)),
            )
        if self.end <= now:
            logger.warning(
                "the certificate %s has ended on %s (UTC): clients that check it refuse it",
                *(self._cert, _in_words(self.end)),
            )
        elif self.end - now < SOON_S:
            logger.warning(
                "the certificate %s ends on %s (UTC): renew it, and send SIGHUP", self._cert, _in_words(self.end)
            )


def _in_words(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(" ", "minutes").removesuffix("+00:00")


def _validity_of(pem: bytes) -> tuple[float, float]:
    """When the first certificate of a file begins and ends: the server's own, before those that signed it.

    The standard library tells it only of certificates that it has verified. NaN if it cannot be read.
    """
    from cryptography.x509 import load_pem_x509_certificate  # here, because few servers speak TLS themselves

    try:
        found = load_pem_x509_certificate(pem)
        return found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
    except ValueError:
        return math.nan, math.nan


def _refuse_password() -> str:
    return ""  # else OpenSSL asks the terminal
