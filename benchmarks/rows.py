"""Rows of results: one JSON object in each line, appended when it is measured, so that a killed program goes on.

Each has the `machine` it was measured on and the `threads` of its networks. Older rows lack them.
"""

import json
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch

Row = dict[str, Any]
FOLDER = Path(__file__).parent / "results"


def read_rows(path: Path) -> list[Row]:
    """The rows there are, none without a file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def typed(command: str) -> str:
    """The command of a row as it is typed: rows do not say where their bundles went."""
    return f"{command} --out MODEL"


def append_row(path: Path, row: Row) -> None:
    """One more row, with the machine, in a folder that is made if need be."""
    row = row | {"machine": machine(), "threads": torch.get_num_threads()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


@cache
def machine() -> str:
    """The processor and the cores that this process may use, and the GPU where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{_processor()}, {cores} cores{gpu}"


def _processor() -> str:
    """Linux has its name in a file, under other words on ARM; what else there is says at least the kind."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text("utf-8", errors="replace").splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
