"""The rows of `docs/formats.md`. A test module parametrises its tests by rows, so no row is written without a test."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of a table: under which heading, what it is, and what is done with it."""

    section: str
    what: str
    outcome: str
