"""Recipes as TOML files: those that are shipped, by name, and a user's own, by path.

A file has the sections of `config.Recipe`, and only what it sets in them. It begins with a comment that says for which
pictures it is, what it costs, and what it reached.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from anomaly.errors import UsageError

Sections = Mapping[str, Mapping[str, Any]]
"""What is set, by section and field."""

_FOLDERS = (".", "lectures")


@dataclass(frozen=True)
class RecipeFile:
    """A recipe as it was written; `about` are its first lines, without the comment signs."""

    name: str
    about: list[str]
    sections: Sections


def recipe_names() -> list[str]:
    """The shipped recipes: those for everyday use, then the systems of the lectures; each in alphabetical order."""
    return [name for folder in _FOLDERS for name in sorted(_names_in(folder))]


def read_recipe(name: str) -> RecipeFile:
    """A shipped recipe by its name, or a file by its path, which ends in .toml.

    Raises:
        UsageError: there is none of that name, or the file cannot be read or is no TOML.
    """
    if name.endswith(".toml"):
        try:
            return _parse(Path(name).stem, Path(name).read_text("utf-8"), where=name)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the recipe {name} cannot be read ({error}); check the path") from error
    for folder in _FOLDERS:
        if name in _names_in(folder):
            text = files(__package__).joinpath(folder, f"{name}.toml").read_text("utf-8")
            return _parse(name, text, where=name)
    raise UsageError(
        f"there is no recipe {name!r}; there are auto, {', '.join(recipe_names())}, or give a file that ends in .toml"
    )


def _names_in(folder: str) -> list[str]:
    entries = files(__package__).joinpath(folder).iterdir()
    return [entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml")]


def _parse(name: str, text: str, *, where: str) -> RecipeFile:
    try:
        sections = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the recipe {where} is not TOML: {error}") from error
    about = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        about.append(line.removeprefix("#").strip())
    return RecipeFile(name, about, sections)
