"""What is wrong with a certificate or its key is one sentence, before anything is served."""

from pathlib import Path
from typing import Any

import pytest

from anomaly.errors import UsageError
from service.edge.certificates import read_certificate
from service.settings import Settings, read_settings
from tests.service.certificates import make_certificate


def test_a_certificate_and_its_key_can_be_in_two_files_or_one(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    read_certificate(Settings(**made))
    both = tmp_path / "both.pem"
    both.write_bytes(made["tls_key"].read_bytes() + made["tls_cert"].read_bytes())
    read_certificate(Settings(tls_cert=both))
    read_certificate(Settings())


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
            read_certificate(Settings(**given))
        assert said in str(refused.value)
    with pytest.raises(UsageError, match="tls_key is given without tls_cert"):
        read_settings(tls_key=made["tls_key"])
