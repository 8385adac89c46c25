"""The service as an operator runs it: a process of its own, and what the system says of its memory."""

import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx


@dataclass(frozen=True)
class Process:
    """A running `anomaly serve`."""

    client: httpx.Client
    pid: int

    def resident_mb(self) -> float:
        """Memory that it has in use now, in MB."""
        return self._status("VmRSS")

    def peak_mb(self) -> float:
        """The most that it had in use since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Measure the peak from here on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, field: str) -> float:
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(rf"{field}:\s+(\d+) kB", text)[0]) * 1024 / 1e6


@contextmanager
def running(models: Path, **environment: str) -> Iterator[Process]:
    """`anomaly serve` with one thread for the networks, ready to score; settings by `environment`."""
    program = [sys.executable, "-c", "from anomaly.cli import app; app()"]
    options = ["--models", str(models), "--port", "0", "--device", "cpu"]
    chosen = os.environ | {"OMP_NUM_THREADS": "1", "ANOMALY_LOG_LEVEL": "error", "ANOMALY_THREADS": "2"} | environment
    with subprocess.Popen([*program, "serve", *options], env=chosen, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = re.findall(r"https?://[\d.]+:\d+", process.stdout.readline())[0]
            certificate = environment.get("ANOMALY_TLS_CERT")
            trusted = ssl.create_default_context(cafile=certificate) if certificate else True
            with httpx.Client(base_url=url, verify=trusted, trust_env=False, timeout=60) as client:
                yield Process(client, process.pid)
        finally:
            process.terminate()
