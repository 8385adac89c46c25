"""Single fields set on top of a recipe: `SECTION.FIELD=VALUE`, the value as TOML has it; quotes may be left out."""

import tomllib
from collections.abc import Sequence
from typing import Any

from anomaly.config import Config, Recipe
from anomaly.errors import UsageError
from anomaly.recipes.files import Sections


def parse_overrides(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The fields by section; of a field that is given twice, the last.

    Raises:
        UsageError: a text is not of this form, or names a section or field that there is not.
    """
    sections: dict[str, dict[str, Any]] = {}
    for text in texts:
        field, equals, value = text.partition("=")
        section, dot, name = field.strip().partition(".")
        if not equals or not dot:
            raise UsageError(f"--set {text}: expected SECTION.FIELD=VALUE, such as training.steps=1000")
        sections.setdefault(section, {})[name] = _value(value.strip())
    check_fields(sections, "--set")
    return sections


def check_fields(sections: Sections, where: str) -> None:
    """Raises UsageError for a section or field that no recipe has; `where` is what sets them."""
    known = {name: _fields_of(name) for name in Recipe.model_fields}
    for section, fields in sections.items():
        if section not in known:
            raise UsageError(f"{where}: there is no section {section!r}; there are {', '.join(known)}")
        if not isinstance(fields, dict):
            raise UsageError(f"{where}: {section} is a section; write its fields below [{section}]")
        for name in fields:
            if name not in known[section]:
                there = ", ".join(known[section])
                raise UsageError(f"{where}: the section {section} has no field {name!r}; it has {there}")


def merged(*layers: Sections) -> dict[str, dict[str, Any]]:
    """Sections laid over each other, the last on top."""
    names = dict.fromkeys(name for layer in layers for name in layer)
    return {name: {field: v for layer in layers for field, v in layer.get(name, {}).items()} for name in names}


def _fields_of(section: str) -> list[str]:
    annotation = Recipe.model_fields[section].annotation
    kinds = [annotation, *getattr(annotation, "__args__", ())]
    (config,) = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Config))
    return list(config.model_fields)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
