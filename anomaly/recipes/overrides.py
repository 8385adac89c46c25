"""Single fields set on top of a recipe: `SECTION.FIELD=VALUE`, the value as TOML has it; quotes may be left out."""

import tomllib
from collections.abc import Sequence
from typing import Any

from anomaly.config.mistakes import shortened
from anomaly.errors import UsageError
from anomaly.recipes.files import Sections, check_fields


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
            raise UsageError(f"--set {shortened(text)}: expected SECTION.FIELD=VALUE, such as training.steps=1000")
        sections.setdefault(section, {})[name] = _value(value.strip())
    check_fields(sections, "--set")
    return sections


def options_of(
    texts: Sequence[str], *, size: int | None = None, steps: int | None = None, seed: int | None = None
) -> dict[str, dict[str, Any]]:
    """The fields of texts, with those that have an option of their own.

    Raises:
        UsageError: as `parse_overrides`, or a field is given in both ways.
    """
    shortcuts = {"preprocess": {"size": size}, "training": {"steps": steps, "seed": seed}}
    given = {
        section: {name: value for name, value in fields.items() if value is not None}
        for section, fields in shortcuts.items()
    }
    overrides = parse_overrides(texts)
    for section, fields in given.items():
        if twice := fields.keys() & overrides.get(section, {}).keys():
            name = min(twice)
            raise UsageError(f"{section}.{name} is set twice, by --set and by --{name}; leave one of them away")
    return merged(overrides, given)


def merged(*layers: Sections) -> dict[str, dict[str, Any]]:
    """Sections laid over each other, the last on top."""
    names = dict.fromkeys(name for layer in layers for name in layer)
    return {name: {field: v for layer in layers for field, v in layer.get(name, {}).items()} for name in names}


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML, an integer of too many digits, lists too deep
        return text
    return parsed["value"] if parsed.keys() == {"value"} else text
