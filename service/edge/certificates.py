"""The certificate that the server shows where it speaks TLS itself, without a proxy."""

import ssl

from anomaly.errors import UsageError, reason_of
from service.settings import Settings


def read_certificate(settings: Settings, into: ssl.SSLContext | None = None) -> None:
    """Read certificate and key, to see that they can be used, or for a context that is in use.

    Raises UsageError if one is missing, cannot be read, is none, or does not belong to the other.
    """
    if settings.tls_cert is None:
        return
    context = into or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    options = {"--tls-cert": settings.tls_cert, "--tls-key": settings.tls_key}
    for option, path in options.items():
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            raise UsageError(f"The file of {option}, {path}, cannot be read: {reason_of(error)}.") from None
    key = settings.tls_key or settings.tls_cert
    try:
        context.load_cert_chain(settings.tls_cert, key, password=_refuse_password)
    except ssl.SSLError as error:
        raise UsageError(_explain(error, settings)) from None


def _explain(error: ssl.SSLError, settings: Settings) -> str:
    cert, key = settings.tls_cert, settings.tls_key or settings.tls_cert
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"The key {key} does not belong to the certificate {cert}; give the two that were made together."
    return (
        f"The certificate {cert} or the key {key} cannot be used ({error.reason or error}). Both are PEM files "
        "('-----BEGIN …'): the certificate, followed by those that signed it, and the key, without a password."
    )


def _refuse_password() -> str:
    return ""  # else OpenSSL asks the terminal
