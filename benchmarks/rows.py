"""Rows of results: one JSON object a line, appended when it is measured, so that a killed program goes on."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]
FOLDER = Path(__file__).parent / "results"


def read_rows(path: Path) -> list[Row]:
    """The rows there are, none without a file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def append_row(path: Path, row: Row) -> None:
    """One more row, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
