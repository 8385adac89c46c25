"""Reports to a web address: one POST for each report, signed where there is a secret.

Headers and signature are those of Standard Webhooks 1.0.0, whose libraries verify them: HMAC-SHA256 over
`id.timestamp.body`, so neither an old request nor a changed one passes. https://www.standardwebhooks.com
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from anomaly.errors import UsageError, reason_of
from anomaly.extras import require
from anomaly.files import text_encoding
from anomaly.pipeline.results import ResultRow
from anomaly.watch.targets.target import DeliveryError
from anomaly.watch.targets.variables import value_of

SECRET = "ANOMALY_WATCH_SECRET"  # noqa: S105  # the variable's name
TIMEOUT_S = 10.0
_PREFIX = "whsec_"
_MIN_BYTES = 24


class Webhook:
    """An address that answers 2xx to what it has taken. Raises UsageError where it can be none."""

    def __init__(self, address: str, secret: bytes | None) -> None:
        require("a webhook", "watch", "httpx")
        import httpx

        self._address = address
        self._called = shown(address)
        try:
            _ = httpx.URL(address).host
        except (httpx.InvalidURL, UnicodeError) as error:
            raise UsageError(f"--to {self._called}: is no web address ({error}); correct it") from error
        self._secret = secret
        self._client = httpx.Client(timeout=TIMEOUT_S, verify=ssl.create_default_context())

    def deliver(self, rows: Sequence[ResultRow]) -> Iterator[int]:
        """See `Target`. Any answer but 2xx is a failure, redirects too."""
        import httpx

        for row in rows:
            body = json.dumps(row, allow_nan=False).encode()
            headers = {"Content-Type": "application/json", **self._headers(str(row["id"]), body)}
            try:
                answer = self._client.post(self._address, content=body, headers=headers)
            except httpx.HTTPError as error:
                raise DeliveryError(f"{self._called} does not answer: {error or type(error).__name__}") from error
            if not answer.is_success:
                raise DeliveryError(f"{self._called} answers {answer.status_code} {answer.reason_phrase}")
            yield 1

    def close(self) -> None:
        """See `Target`."""
        self._client.close()

    def _headers(self, report_id: str, body: bytes) -> Mapping[str, str]:
        timestamp = str(int(time.time()))
        headers = {"webhook-id": report_id, "webhook-timestamp": timestamp}
        if self._secret is None:
            return headers
        return headers | {"webhook-signature": sign(self._secret, report_id, timestamp, body)}


def shown(to: str) -> str:
    """A target as it is printed: without a web address's query, which may hold what is secret."""
    parts = urlsplit(to)
    return parts._replace(query="", fragment="").geturl() if parts.scheme in ("http", "https") else to


def sign(secret: bytes, report_id: str, timestamp: str, body: bytes) -> str:
    """The header `webhook-signature`: the version and the signature in base64."""
    signed = b".".join([report_id.encode(), timestamp.encode(), body])
    return f"v1,{base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()}"


def read_secret(file: Path | None) -> bytes | None:
    """The secret in this file, or in the environment variable; None where there is none.

    Raises:
        UsageError: it is no base64, too short, or in both places, or the variable is empty, or the file cannot be read.
    """
    if file is not None and os.environ.get(SECRET):
        raise UsageError(f"the secret is given twice, by --secret-file and by {SECRET}; leave one of them away")
    given = value_of(SECRET) if file is None else None
    if file is None and given is None:
        return None
    where = SECRET if file is None else str(file)
    try:
        text = given or "" if file is None else _text_in(file)
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) < _MIN_BYTES:
        raise UsageError(
            f"the secret in {where} is not base64 of at least {_MIN_BYTES} bytes; make one by `openssl rand -base64 32`"
        )
    return secret


def _text_in(file: Path) -> str:
    """Raises UnicodeDecodeError where it is no text."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"the secret's file {file} cannot be read: {reason_of(error)}; give another one") from error
    return data.decode(text_encoding(data)).strip()
