"""Load as a program of its own (see `generator`), and what came of it."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Answer:
    """One request: its number, status (0: no connection; -1: it broke), seconds, and its score or error's code."""

    number: int
    status: int
    seconds: float
    found: float | str | None


@dataclass(frozen=True)
class Load:
    """All answers, how long it took, and what sending it cost."""

    answers: list[Answer]
    seconds: float
    cpu_s: float
    unsent: int

    @property
    def statuses(self) -> dict[int, int]:
        """How often each status came."""
        return dict(sorted(Counter(answer.status for answer in self.answers).items()))

    @property
    def scored(self) -> list[Answer]:
        """Those with a score."""
        return [answer for answer in self.answers if answer.status == 200]

    @property
    def codes(self) -> dict[str, int]:
        """How often each error's code came."""
        return dict(Counter(str(answer.found) for answer in self.answers if answer.status != 200))

    @property
    def rate(self) -> float:
        """Images scored a second."""
        return len(self.scored) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Of the time until a score came."""
        return 1e3 * float(np.percentile([answer.seconds for answer in self.scored], percent))


class Running:
    """Load that is being sent."""

    def __init__(self, port: int, folder: Path, *options: object) -> None:
        command = [sys.executable, "-m", "benchmarks.generator", str(port), str(folder), *map(str, options)]
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115  # a pipe would fill while nobody reads it
        self._process = subprocess.Popen(command, stdout=self._output)

    @property
    def is_running(self) -> bool:
        """Whether it is still being sent."""
        return self._process.poll() is None

    def result(self) -> Load:
        """Wait for the end."""
        self._process.wait()
        self._output.seek(0)
        found = json.load(self._output)
        answers = [Answer(*answer) for answer in found["answers"]]
        return Load(answers, found["seconds"], found["cpu_s"], found["unsent"])


def send(port: int, folder: Path, *options: object) -> Load:
    """Send load and wait for its end."""
    return Running(port, folder, *options).result()
