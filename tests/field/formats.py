"""Writes `docs/formats.md` from the rows that the tests of this package exercise: `python -m tests.field.formats`."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from tests.field.rows import Row

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
MODULES = (
    *("test_pixels", "test_folders", "test_copies", "test_masks", "test_mask_values", "test_manifests"),
    *("test_requests", "test_serving", "test_foreign_files", "test_consoles"),
)
_HEAD = """# Formats, layouts and forms

What is read, and how, or refused, and why. Every line is a test in `tests/field/`, with a file of its own and the right
pixels, labels or answer. The page is written from these tests (`python -m tests.field.formats`). Whatever is not listed
and is not certain is refused with a sentence that names the file.
"""


def all_rows() -> list[Row]:
    """Those of each module, in order."""
    return [row for module in MODULES for row in import_module(f"tests.field.{module}").ROWS]


def page_of(rows: Iterable[Row]) -> str:
    """A table for each section, in the order in which they first come."""
    sections: dict[str, list[str]] = {}
    for row in rows:
        line = f"| {_cell(row.what)} | {_cell(row.outcome)} |"
        lines = sections.setdefault(row.section, [])
        if line not in lines:
            lines.append(line)
    tables = (
        f"\n## {name}\n\n| what | outcome |\n|---|---|\n" + "\n".join(lines) + "\n" for name, lines in sections.items()
    )
    return _HEAD + "".join(tables)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page_of(all_rows()), encoding="utf-8")
