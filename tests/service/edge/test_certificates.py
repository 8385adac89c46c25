"""What is wrong with a certificate or its key is one sentence, before anything is served; its end is known."""

import logging
import shutil
import ssl
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anomaly.errors import UsageError
from service.edge import certificates
from service.edge.certificates import Certificate
from service.edge.keys import DAY_S, SOON_S
from service.settings import read_settings
from tests.service.certificates import make_certificate


def element(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return bytes([tag, len(content)]) + content


SEQUENCE, NUMBER, TIME = 0x30, 0x02, 0x17
VALIDITY = element(SEQUENCE, element(TIME, b"270101000000Z"), element(TIME, b"280101000000+0100"))
OF_ANOTHER_ZONE = element(
    SEQUENCE, element(SEQUENCE, element(NUMBER, b"\1"), element(SEQUENCE), element(SEQUENCE), VALIDITY)
)
"""As much of a certificate as is read."""


def use(made: dict[str, Any]) -> Certificate:
    return Certificate(made["tls_cert"], made.get("tls_key"))


def end_by_openssl(file: Path) -> int:
    said = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate", "-in", file], capture_output=True, text=True, check=True
    )
    return ssl.cert_time_to_seconds(said.stdout.removeprefix("notAfter=").strip())


def test_a_certificate_and_its_key_can_be_in_two_files_or_one(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(made["tls_key"].read_bytes() + made["tls_cert"].read_bytes())
    assert use(made).end == use({"tls_cert": both}).end == end_by_openssl(made["tls_cert"])


def test_mistakes(tmp_path: Path) -> None:
    made, other = make_certificate(tmp_path / "a"), make_certificate(tmp_path / "b")
    text = tmp_path / "text"
    text.write_text("no certificate")
    sealed = tmp_path / "sealed.pem"
    sealed.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHj\n-----END ENCRYPTED PRIVATE KEY-----\n")
    mistakes: dict[str, dict[str, Any]] = {
        f"--tls-cert, {tmp_path / 'nowhere'}, cannot be read: No such file": {"tls_cert": tmp_path / "nowhere"},
        f"--tls-key, {tmp_path}, cannot be read: Is a directory": made | {"tls_key": tmp_path},
        f"The key {other['tls_key']} does not belong to the certificate": made | {"tls_key": other["tls_key"]},
        f"The certificate {text} or the key": made | {"tls_cert": text},
        f"or the key {text} cannot be used": made | {"tls_key": text},
        f"or the key {sealed} cannot be used": made | {"tls_key": sealed},
        f"or the key {made['tls_cert']} cannot be used": {"tls_cert": made["tls_cert"]},
    }
    for said, given in mistakes.items():
        with pytest.raises(UsageError) as refused:
            use(given)
        assert said in str(refused.value)
    with pytest.raises(UsageError, match="tls_key is given without tls_cert"):
        read_settings(tls_key=made["tls_key"])


@pytest.mark.parametrize("days", [1, 30_000], ids=["a year of two digits", "a year of four"])
def test_the_end_is_that_of_the_servers_own_certificate_and_not_of_those_that_signed_it(
    tmp_path: Path, days: int
) -> None:
    made, other = make_certificate(tmp_path / "own", days=days), make_certificate(tmp_path / "other", days=90)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(made["tls_cert"].read_bytes() + other["tls_cert"].read_bytes())
    assert use(made | {"tls_cert": chain}).end == end_by_openssl(made["tls_cert"])


def test_a_certificate_without_a_version_has_an_end_too(tmp_path: Path) -> None:
    """X.509 version 1, as `openssl x509 -req` made them for long: the field is not there."""
    made = make_certificate(tmp_path)
    request, old = tmp_path / "request.pem", tmp_path / "old.pem"
    for command in (
        ["openssl", "req", "-new", "-key", made["tls_key"], "-subj", "/CN=plant.example", "-out", request],
        ["openssl", "x509", "-req", "-in", request, "-key", made["tls_key"], "-days", "9", "-out", old],
    ):
        subprocess.run(command, check=True, capture_output=True)
    assert use(made | {"tls_cert": old}).end == end_by_openssl(old)


def test_a_time_that_no_client_could_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_certificate(tmp_path)
    monkeypatch.setattr(ssl, "PEM_cert_to_DER_cert", lambda pem: OF_ANOTHER_ZONE)
    with pytest.raises(UsageError, match="has no readable end"):
        use(made)


def test_an_end_is_told_two_weeks_before_at_the_start_and_when_it_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def at(seconds: float) -> None:
        monkeypatch.setattr(certificates, "time", SimpleNamespace(time=lambda: seconds))

    made = make_certificate(tmp_path)
    end = end_by_openssl(made["tls_cert"])
    with caplog.at_level(logging.INFO):
        at(end - SOON_S - 1)
        certificate = use(made)
        assert caplog.messages == []
        at(end - SOON_S + 1)
        use(made)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.renew(context)
        soon, again = caplog.messages
        assert soon == again
        assert f"the certificate {made['tls_cert']} ends on " in soon
        caplog.clear()
        at(end)
        certificate.renew(context)
        assert f"the certificate {made['tls_cert']} has ended on " in caplog.text
        caplog.clear()
        shutil.copy(make_certificate(tmp_path / "new", days=400)["tls_cert"], made["tls_cert"])
        certificate.renew(context)
        assert "the certificate stays as it was: The key" in caplog.text
        assert certificate.end == end
        caplog.clear()
        shutil.copy(tmp_path / "new" / "key.pem", made["tls_key"])
        certificate.renew(context)
        assert caplog.messages == []
        assert certificate.end == end_by_openssl(made["tls_cert"]) > end + 30 * DAY_S
