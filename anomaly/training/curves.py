"""The training curves: what a step shows on the device, and the rows of numbers that are kept of it."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean

import torch
from torch import Tensor

from anomaly.errors import DivergedError
from anomaly.runtime import widened
from anomaly.training.ranks import ALONE, Ranks

REPORT_EVERY = 10
"""Steps after which curves are read from the device and told, and a training may end."""

Curves = dict[str, Tensor]
"""What one step shows, as tensors still on the device."""

HistoryRow = dict[str, float]
"""The same as numbers, with the `step`."""

ShouldStop = Callable[[int, HistoryRow], bool]
"""Whether a training is to end: asked every ten steps, with the step and the means of the curves since it was asked."""

OnRows = Callable[[Sequence[HistoryRow]], object]
"""Told of rows of the curves."""

OnProgress = Callable[[str, int, int | None], object]
"""Told of a stage in plain words, how much of it is done, and of how much; None where nothing is counted."""


def to_rows(recent: Sequence[Curves], step: int, ranks: Ranks = ALONE) -> list[HistoryRow]:
    """One row for each step, the last of which is `step`: in one transfer from the device, the means over all ranks.

    Raises:
        DivergedError: a number is not finite.
    """
    names = list(recent[0])
    on_device = torch.stack([torch.stack([widened(curves[name]) for name in names]) for curves in recent])
    ranks.average_([on_device])
    table = on_device.tolist()
    first = step - len(recent) + 1
    for number, values in enumerate(table, start=first):
        broken = [name for name, value in zip(names, values, strict=True) if not math.isfinite(value)]
        if broken:
            raise diverged(broken, number)
    return [
        {"step": number} | {name: float(f"{value:.6g}") for name, value in zip(names, values, strict=True)}
        for number, values in enumerate(table, start=first)
    ]


def means(rows: Sequence[HistoryRow]) -> HistoryRow:
    """The mean of each column that the last row has, over the rows that have it; and the last row's step."""
    last = rows[-1]
    return {name: fmean(row[name] for row in rows if name in row) for name in last} | {"step": last["step"]}


def diverged(broken: Sequence[str], step: int) -> DivergedError:
    """The error, not yet raised, that names what is not finite any more."""
    return DivergedError(
        f"training diverged: {', '.join(broken)} not finite in step {step}. Lower training.learning_rate, keep "
        "training.spectral_norm, or use training.precision=fp32 (each with --set)"
    )
