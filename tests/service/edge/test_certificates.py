"""What is wrong with a certificate or its key is one sentence, before anything is served; its end is known."""

import logging
import math
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


def use(made: dict[str, Any]) -> Certificate:
    return Certificate(made["tls_cert"], made.get("tls_key"))


def end_by_openssl(file: Path, which: str = "-enddate") -> int:
    said = subprocess.run(["openssl", "x509", "-noout", which, "-in", file], capture_output=True, text=True, check=True)
    return ssl.cert_time_to_seconds(said.stdout.partition("=")[2].strip())


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


def test_the_end_is_that_of_the_servers_own_certificate_and_not_of_those_that_signed_it(tmp_path: Path) -> None:
    made, other = make_certificate(tmp_path / "own", days=30), make_certificate(tmp_path / "other", days=90)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(made["tls_cert"].read_bytes() + other["tls_cert"].read_bytes())
    assert use(made | {"tls_cert": chain}).end == end_by_openssl(made["tls_cert"])


def test_where_the_end_cannot_be_read_the_certificate_is_used_and_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """OpenSSL's own form, with what it is trusted for behind it."""
    made, trusted = make_certificate(tmp_path), tmp_path / "trusted.pem"
    command = ["openssl", "x509", "-in", made["tls_cert"], "-trustout", "-out", trusted]
    subprocess.run(command, check=True, capture_output=True)
    with caplog.at_level(logging.INFO):
        assert math.isnan(use(made | {"tls_cert": trusted}).end)
    assert caplog.messages == [f"when the certificate {trusted} ends cannot be read: nothing warns of it"]


def test_a_certificate_that_begins_later_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the start, and when it is read again."""
    made = make_certificate(tmp_path)
    begin = end_by_openssl(made["tls_cert"], "-startdate")
    for now, told in ((begin - 90, True), (begin, False)):
        monkeypatch.setattr(certificates, "time", SimpleNamespace(time=lambda now=now: now))
        caplog.clear()
        with caplog.at_level(logging.INFO):
            certificate = use(made)
            certificate.renew(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        lines = [each for each in caplog.messages if f"the certificate {made['tls_cert']} begins on 20" in each]
        assert len(lines) == len(caplog.messages) == (2 if told else 0)


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
