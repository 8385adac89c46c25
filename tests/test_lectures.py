"""What docs/lectures.md names is there: its files, its functions, its commands."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from anomaly.cli import app
from anomaly.config import TrainingConfig
from anomaly.recipes import Survey, parse_overrides, read_recipe, recipe_names, resolve

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "lectures.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL) for line in block.splitlines()]
SOURCES = "\n".join(path.read_text("utf-8") for top in ("anomaly", "examples") for path in (ROOT / top).rglob("*.py"))


def test_links_and_pictures_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)", TEXT)
    assert len(targets) > 10
    assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []


def test_functions_are_defined() -> None:
    words = set(re.findall(r"`(_?[a-z]+(?:_[a-z]+)*|[A-Z]+[a-zA-Z]+)`", TEXT))
    names = words - {"d_real", "d_fake", *recipe_names(), *TrainingConfig.model_fields}
    assert {"game_step", "izi_f", "encoder_step", "_contests", "MLPGenerator"} <= names
    assert [name for name in sorted(names) if not re.search(rf"(def|class) {name}\b", SOURCES)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    program, verb, *arguments = shlex.split(command)
    assert (program, verb) == ("anomaly", "train")
    group = typer.main.get_command(app)
    train = group.get_command(group.make_context("anomaly", [verb], resilient_parsing=True), verb)  # type: ignore[attr-defined]
    given = train.make_context(verb, arguments).params
    assert given["data"] == "digits"
    resolve(given["recipe"], parse_overrides(given["set_"] or ()), Survey(143, 8, 8, has_colour=False))


def test_every_system_has_its_command() -> None:
    named = {word for command in COMMANDS for word in shlex.split(command)}
    assert {name for name in recipe_names() if read_recipe(name).sections.get("search")} - {"anogan"} <= named
