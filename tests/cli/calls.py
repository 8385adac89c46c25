"""The command line, called in this process, and what it leaves behind."""

import csv
from pathlib import Path

from typer.testing import CliRunner, Result

from anomaly.cli import app

TINY = ("--device", "cpu", "--steps", "10", "--width", "4", "--latent-dim", "2", "--batch-size", "8")
"""Options of a training that takes a moment."""


def call(*arguments: str | Path) -> Result:
    """Run `anomaly` with these arguments; an exception that it does not turn into a message is the test's failure."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def done(*arguments: str | Path) -> Result:
    """The same, of a call that has to succeed."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments: str | Path) -> str:
    """What a call that has to be refused says on standard error: a sentence or two."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    message = result.stderr.strip()
    assert "Traceback" not in message
    assert message.startswith("error: ")
    return message.removeprefix("error: ")


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))
