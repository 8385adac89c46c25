"""A small record of how small a defect is found."""

from typing import Any

from anomaly.bundle import DetectabilityCell, DetectabilityRecord


def make_cell(**changes: Any) -> DetectabilityCell:
    """A dark scratch that is found in 18 of 20 pictures."""
    fields: dict[str, Any] = {
        "kind": "dark scratch", "width": 2, "length": 16, "contrast": 0.3, "found": 18, "shown": 20, "low": 0.7,
        "high": 0.97,
    }  # fmt: skip
    return DetectabilityCell(**(fields | changes))


def make_record(**changes: Any) -> DetectabilityRecord:
    """Scratches of two contrasts, and missing structure, of two lengths each."""
    fields: dict[str, Any] = {
        "alpha": 0.01,
        "num_images": 20,
        "num_false_alarms": 1,
        "cells": [
            make_cell(width=1, length=8, found=4, low=0.08, high=0.42),
            make_cell(),
            make_cell(width=1, length=8, contrast=0.1, found=1, low=0.01, high=0.24),
            make_cell(contrast=0.1, found=2, low=0.03, high=0.3),
            make_cell(kind="missing structure", width=16, contrast=None, found=3, shown=7, low=0.16, high=0.75),
        ],
    }
    return DetectabilityRecord(**(fields | changes))
