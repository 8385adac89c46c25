"""The command line, called in this process, and what it leaves behind."""

import csv
from functools import cache
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner, Result

from anomaly.cli import app

TINY = ("--device", "cpu", "--recipe", "digits", "--steps", "10", "--set", "network.width=4",
        "--set", "network.latent_dim=2", "--set", "training.batch_size=8")  # fmt: skip
"""Options of a training that takes a moment."""
NO_GRAPH = ("--set", "training.method=anogan", "--set", "search.steps=1")
"""Beside them: no graph is made, which takes seconds in a process that has made none before."""


def call(*arguments: str | Path) -> Result:
    """Run `anomaly` with these arguments; an exception that it does not turn into a message is the test's failure."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def done(*arguments: str | Path) -> Result:
    """The same, of a call that has to succeed."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments: str | Path) -> str:
    """What a call that has to be refused says on standard error: a sentence or two.

    Before it, a verb may have said what the data are, and `anomaly train` which recipe it is, and what is lost by it.
    """
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    said, error, message = result.stderr.strip().partition("error: ")
    assert error
    allowed = ("recipe ", "warning: ", "data: ") if arguments[0] == "train" else ("data: ",)
    assert all(line.startswith(allowed) for line in said.splitlines())
    return message


def sets(*fields: str) -> tuple[str, ...]:
    """As options: `--set` before each field."""
    return tuple(word for field in fields for word in ("--set", field))


@cache
def command_of(verb: tuple[str, ...]) -> TyperCommand | TyperGroup:
    """The command behind a verb, () for the program itself."""
    if verb:
        above = command_of(verb[:-1])
        assert isinstance(above, TyperGroup)
        command = above.commands[verb[-1]]
    else:
        command = typer.main.get_command(app)
    assert isinstance(command, TyperCommand | TyperGroup)
    return command


def verbs_of(verb: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """A verb and all below it."""
    command = command_of(verb)
    below = command.commands if isinstance(command, TyperGroup) else ()
    return [verb, *(found for name in below for found in verbs_of((*verb, name)))]


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))
