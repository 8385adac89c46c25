"""Recipes as TOML files: those that are shipped, by name, and a user's own, by path.

A file has the sections of `config.Recipe`, and only what it sets in them. It begins with a comment that says for which
pictures it is, what it costs, and what it reached.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from anomaly.config import Config, Recipe
from anomaly.config.mistakes import shown
from anomaly.errors import UsageError, reason_of
from anomaly.files import text_encoding

Sections = Mapping[str, Mapping[str, Any]]
"""What is set, by section and field."""

_FOLDERS = (".", "lectures")


@dataclass(frozen=True)
class RecipeFile:
    """A recipe as it was written; `about` are its first lines, without the comment signs; `is_own`: it is a user's."""

    name: str
    about: list[str]
    sections: Sections
    is_own: bool = False

    @property
    def first_sentence(self) -> str:
        """What it is, in short. A sentence ends where a capital letter or nothing follows: "eq. 1" is within one."""
        text = " ".join(self.about)
        ends = (end.start() for end in re.finditer(r"\.\s+", text) if text[end.end() : end.end() + 1].isupper())
        return text[: next(ends, len(text))].removesuffix(".") + "."


def recipe_names() -> list[str]:
    """The shipped recipes: those for everyday use, then the systems of the lectures; each in alphabetical order."""
    return [name for folder in _FOLDERS for name in sorted(_names_in(folder))]


def read_recipe(name: str) -> RecipeFile:
    """A shipped recipe by its name, or a file by its path, which ends in .toml.

    Raises:
        UsageError: there is none of that name, or the file cannot be read, is no TOML, or sets what no recipe has.
    """
    if name.endswith(".toml"):
        try:
            path = Path(name)
            text = path.read_text(text_encoding(path.read_bytes()))
            return replace(_parse(path.stem, text, where=name), is_own=True)
        except (OSError, UnicodeError) as error:
            raise UsageError(f"the recipe {name} cannot be read ({reason_of(error)}); check the path") from error
    for folder in _FOLDERS:
        if name in _names_in(folder):
            text = files(__package__).joinpath(folder, f"{name}.toml").read_text("utf-8")
            return _parse(name, text, where=name)
    near = get_close_matches(name, recipe_names(), n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"there is no recipe {name!r}; {meant}there are {', '.join(recipe_names())}; or give a file that ends in .toml"
    )


def check_fields(sections: Sections, where: str) -> None:
    """Raises UsageError for a section or field that no recipe has; `where` is what sets them."""
    known = {name: _fields_of(name) for name in Recipe.model_fields}
    for section, fields in sections.items():
        if section not in known:
            raise UsageError(f"{where}: there is no section {shown(section)}; there are {', '.join(known)}")
        if not isinstance(fields, dict):
            raise UsageError(f"{where}: {section} is one section; write its fields below [{section}]")
        for name in fields:
            if name not in known[section]:
                there = ", ".join(known[section])
                raise UsageError(f"{where}: the section {section} has no field {shown(name)}; it has {there}")


def _fields_of(section: str) -> list[str]:
    annotation = Recipe.model_fields[section].annotation
    kinds = [annotation, *getattr(annotation, "__args__", ())]
    (config,) = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Config))
    return list(config.model_fields)


def _names_in(folder: str) -> list[str]:
    entries = files(__package__).joinpath(folder).iterdir()
    return [entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml")]


def _parse(name: str, text: str, *, where: str) -> RecipeFile:
    try:
        sections = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # no TOML, an integer of too many digits, lists too deep
        raise UsageError(f"the recipe {where} is not TOML: {error}") from error
    check_fields(sections, f"the recipe {where}")
    about = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        about.append(line.removeprefix("#").strip())
    return RecipeFile(name, about, sections)
