"""The real server as a program of its own on a free port of 127.0.0.1, and what the system and it tell of it."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

START_TIMEOUT_S = 120


class Program:
    """A running server."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self.process = process
        self.port = port
        self._system = psutil.Process(process.pid)

    def cpu_s(self) -> float:
        """Seconds of all processors that it, and the programs it started, have used."""
        programs = [self._system, *self._system.children(recursive=True)]
        return sum(sum(program.cpu_times()[:2]) for program in programs)

    def memory_mib(self) -> float:
        """Resident memory."""
        return float(self._system.memory_info().rss / 2**20)

    def num_descriptors(self) -> int:
        """Open files and sockets."""
        return int(self._system.num_fds())

    def metric(self, name: str) -> float:
        """The sum of a Prometheus series over its labels."""
        text = self.get("/metrics")
        values = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, values))

    def get(self, path: str) -> str:
        """The body of an answer, whatever its status."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def is_ready(self) -> bool:
        """Whether it says that it can score."""
        try:
            return '"ready":true' in self.get("/readyz")
        except OSError:
            return False

    def stop(self) -> int:
        """Tell it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def start(models: Path, *, port: int = 0, **settings: Any) -> Program:
    """Start `anomaly serve` with these settings, without a log of requests; returns when it can score."""
    command = [str(Path(sys.executable).with_name("anomaly")), "serve", "--models", str(models), "--port", str(port)]
    settings = {"log_level": "warning"} | settings
    environment = os.environ | {f"ANOMALY_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    for line in process.stdout:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
            return Program(process, int(found[1]))
    raise SystemExit("the server did not start; what it said is above")


@contextmanager
def serving(models: Path, **settings: Any) -> Iterator[Program]:
    """The same, stopped at the end."""
    program = start(models, **settings)
    try:
        yield program
    finally:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()


@contextmanager
def serving_with(command: list[str], port: int) -> Iterator[Program]:
    """Any other server; ready as soon as it takes connections and answers."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        program = Program(process, port)
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{command[1:3]} did not start: {process.stderr and process.stderr.read()[-800:]}")
                time.sleep(0.2)
            yield program
        finally:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/docs", timeout=5):
            return True
    except OSError:
        return False
