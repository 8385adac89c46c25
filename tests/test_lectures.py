"""What docs/lectures.md names is there: its files, its functions, its commands."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from anomaly.cli import app

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "lectures.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL) for line in block.splitlines()]
SOURCES = "\n".join(path.read_text("utf-8") for top in ("anomaly", "examples") for path in (ROOT / top).rglob("*.py"))


def test_links_and_pictures_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)", TEXT)
    assert len(targets) > 10
    assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []


def test_functions_are_defined() -> None:
    names = set(re.findall(r"`(?:Passes\.)?(_?[a-z]+(?:_[a-z]+)*|[A-Z]+[a-zA-Z]+)`", TEXT)) - {
        "digits",
        "d_real",
        "d_fake",
    }
    assert {"game_step", "izi_f", "encoder_step", "_contests", "MLPGenerator"} <= names
    assert [name for name in sorted(names) if not re.search(rf"(def|class) {name}\b", SOURCES)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    program, verb, *arguments = shlex.split(command)
    assert (program, verb) == ("anomaly", "train")
    group = typer.main.get_command(app)
    train = group.get_command(group.make_context("anomaly", [verb], resilient_parsing=True), verb)  # type: ignore[attr-defined]
    assert train.make_context(verb, arguments).params["data"] == "digits"
