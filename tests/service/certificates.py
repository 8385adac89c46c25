"""Certificates that sign themselves, made as docs/proxies.md says."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "proxies.md").read_text("utf-8")
OPENSSL = re.findall(r"^openssl .*?(?<!\\)\n", PAGE, flags=re.DOTALL | re.MULTILINE)[0].replace("\\\n", " ")


def make_certificate(folder: Path, *, days: int = 365) -> dict[str, Any]:
    """A key and a certificate for plant.example and 127.0.0.1, as settings."""
    if not shutil.which("openssl"):
        # skipped, not failed: openssl is a program of the system; `.ci/run` installs it
        pytest.skip("there is no openssl; install it with: apt-get install openssl")
    folder.mkdir(exist_ok=True)
    assert "-days 365" in OPENSSL
    command = OPENSSL.replace("-days 365", f"-days {days}")
    subprocess.run(shlex.split(command), cwd=folder, check=True, capture_output=True)
    return {"tls_cert": folder / "cert.pem", "tls_key": folder / "key.pem"}
