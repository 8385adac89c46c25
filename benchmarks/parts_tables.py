"""Rows of results as the page `docs/parts.md`. AUROC and shares in %."""

from collections.abc import Sequence

from benchmarks.rows import Row


def to_page(rows: Sequence[Row]) -> str:
    """The whole page."""
    return ""
