"""What pydantic refuses, in words for whoever wrote it."""

from collections.abc import Mapping
from datetime import date, time
from typing import Any, NamedTuple

from pydantic import ValidationError

MOST_SHOWN = 60  # characters of what a user gave


class Mistake(NamedTuple):
    """`where` are the names down to the field, joined by dots; "" for the whole. `given` is the value there.

    As text it is WHERE: MESSAGE, or the message alone where it is of the whole.
    """

    where: str
    message: str
    given: Any

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message

    @property
    def sentence(self) -> str:
        """For a recipe: a field SECTION.FIELD with its value; the message alone where it is of a section, or of all."""
        return f"{self}; got {in_toml(self.given)}" if "." in self.where else self.message


def shortened(text: str) -> str:
    """A text as messages show it: of a long one the beginning, and how many characters it has."""
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}… ({len(text):,} characters)"


def shown(given: object) -> str:
    """A value as Python writes it, shortened alike."""
    if isinstance(given, str) and len(given) > MOST_SHOWN:
        return f"{given[:MOST_SHOWN]!r}… ({len(given):,} characters)"
    try:
        return shortened(repr(given))
    except ValueError:  # Python writes no more than 4,300 digits
        return "an integer of thousands of digits"


def in_toml(given: object) -> str:
    """A value as a recipe has it: `true`, not Python's `True`."""
    match given:
        case bool():
            return str(given).lower()
        case None:
            return "nothing"
        case date() | time():  # a datetime is a date
            return given.isoformat()
        case list() | tuple():
            return shortened(f"[{', '.join(map(in_toml, given))}]")
        case Mapping():
            return shortened(f"{{{', '.join(f'{name} = {in_toml(value)}' for name, value in given.items())}}}")
        case _:
            return shown(given)


def mistakes_of(error: ValidationError) -> list[Mistake]:
    """All that pydantic found, at least one, in its order; without its words before what our own validators say."""
    return [
        Mistake(".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, "), each["input"])
        for each in error.errors(include_url=False, include_context=False)
    ]
