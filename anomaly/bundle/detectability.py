"""How small a defect a bundle finds: what was measured after training, and how it is told.

Kept in the manifest. It chooses nothing: it is measured when the bundle is complete, on normals that nothing else used.
"""

from typing import Self

from pydantic import Field, model_validator

from anomaly.calibration import num_needed
from anomaly.config import Config
from anomaly.counted import counted

MOSTLY = 0.9
"""The share of pictures in which a defect is called found: nine of ten."""


class DetectabilityCell(Config):
    """One kind, size and contrast of defect: it was drawn into `shown` pictures, and `found` of them were anomalous.

    `width` and `length` are in pixels of the picture as it is on disk. `contrast` is a share of the grey levels, None
    where the picture decides. `low` and `high` are the 95 % interval of the share (Wilson 1927).
    """

    kind: str
    width: int = Field(ge=1)
    length: int = Field(ge=1)
    contrast: float | None = Field(ge=0, le=1)
    found: int = Field(ge=0)
    shown: int = Field(ge=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.found > self.shown:
            raise ValueError(f"found in {self.found} of {self.shown} pictures")
        return self

    @property
    def share(self) -> float:
        """Found of shown."""
        return self.found / self.shown

    @property
    def name(self) -> str:
        """The defect in words."""
        strength = "" if self.contrast is None else f" of contrast {self.contrast:.0%}"
        if self.width == self.length:
            return f"{self.kind} {counted(self.length, 'pixel')} across{strength}"
        return f"{self.kind} {counted(self.width, 'pixel')} wide and {self.length} long{strength}"


class DetectabilityRecord(Config):
    """The shares found at the false-alarm rate `alpha`, on `num_images` normal pictures held out for this alone.

    `num_false_alarms` of them are called anomalous without any defect. `is_out_of_time`: the time limit ended it, so
    that there are fewer pictures for each cell, or fewer cells, than there could be.
    """

    alpha: float = Field(gt=0, lt=1)
    num_images: int = Field(ge=1)
    num_false_alarms: int = Field(ge=0)
    is_out_of_time: bool = False
    cells: list[DetectabilityCell]

    @property
    def curves(self) -> dict[tuple[str, float | None], list[DetectabilityCell]]:
        """The cells by kind and contrast, each list by length."""
        curves: dict[tuple[str, float | None], list[DetectabilityCell]] = {}
        for cell in sorted(self.cells, key=lambda cell: cell.length):
            curves.setdefault((cell.kind, cell.contrast), []).append(cell)
        order = list(dict.fromkeys((cell.kind, cell.contrast) for cell in self.cells))
        return {key: curves[key] for key in order}

    def sentences(self) -> list[str]:
        """In words: what was found of one kind, which kinds were found most and least, and how it was measured."""
        best = max(self.curves.values(), key=lambda curve: curve[0].contrast or 0.0)  # the first of the strongest
        at = f"{self.alpha:.0%} false alarms"
        from_here_on = smallest_found(best)
        cell = from_here_on or next((cell for cell in best if cell.share >= MOSTLY), None)
        is_alarm = cell is not None and cell.low <= self.num_false_alarms / self.num_images
        if is_alarm:
            headline = (
                f"At {at} it cannot be told how small a defect is found: too many pictures without one are anomalous"
            )
        elif cell is None:
            headline = (
                f"No {best[0].kind} of up to {counted(best[-1].length, 'pixel')} was found in {MOSTLY:.0%} of the "
                f"pictures at {at}"
            )
        else:
            but = "" if from_here_on else ", but not all longer ones are"
            headline = f"A {cell.name} is found in {share_of(cell)} at {at}{but}"
        are = "is" if self.num_false_alarms == 1 else "are"
        ended = " The time limit ended it early: there are fewer pictures than there could be." * self.is_out_of_time
        return [
            f"{headline}.",
            *([] if is_alarm else self._most_and_least()),
            f"Measured by drawing defects into {self.num_images} normal pictures that were used for nothing else; "
            f"{self.num_false_alarms} of them {are} called anomalous without a defect. Sizes are in pixels of the "
            f"pictures as they are on disk.{ended}",
        ]

    def _most_and_least(self) -> list[str]:
        """Of the strongest of each kind, at its largest. Kinds of one share are told together."""
        largest: dict[str, DetectabilityCell] = {}
        for (kind, contrast), curve in self.curves.items():
            if kind not in largest or (contrast or 0.0) > (largest[kind].contrast or 0.0):
                largest[kind] = curve[-1]
        if len(largest) < 2:
            return []
        shares = {cell.share for cell in largest.values()}
        if len(shares) == 1:
            return [
                f"The largest and strongest of each kind are found equally often, in {shares.pop():.0%} of pictures."
            ]
        most, least = ([cell for cell in largest.values() if cell.share == end(shares)] for end in (max, min))
        return [
            f"Of the largest and strongest of each kind, found most often: {_together(most)}. "
            f"Least often: {_together(least)}."
        ]


def _together(cells: list[DetectabilityCell]) -> str:
    """One cell by its name, or the kinds of several that have one share; and how often they are found."""
    if len(cells) == 1:
        return f"{cells[0].name}, in {share_of(cells[0])}"
    *others, last = (cell.kind for cell in cells)
    return f"{', '.join(others)} and {last}, each in {cells[0].share:.0%} of pictures"


def smallest_found(curve: list[DetectabilityCell]) -> DetectabilityCell | None:
    """The first of cells by length from which on all are found in MOSTLY of the pictures; None where none is."""
    smallest = None
    for cell in reversed(curve):
        if cell.share < MOSTLY:
            break
        smallest = cell
    return smallest


def why_not_measured(num_report: int, num_calibrate: int, alpha: float) -> str:
    """A sentence, for a bundle without a record whose calibration images are too few for one; else empty."""
    needed = num_needed(alpha)
    if not num_report or num_calibrate >= needed:
        return ""
    return (
        f"How small a defect is found was not measured: at {alpha:.0%} false alarms there is no threshold with "
        f"{counted(num_calibrate, 'calibration image')}. At least {needed} are needed."
    )


def share_of(cell: DetectabilityCell) -> str:
    """How often, with the interval."""
    return f"{cell.found} of {cell.shown} pictures (95% interval {cell.low:.0%} to {cell.high:.0%})"


def markdown_table(record: DetectabilityRecord) -> str:
    """A row for each kind and contrast, a column for each length: found/shown, and the interval in percent."""
    lengths = sorted({cell.length for cell in record.cells})
    lines = [
        f"| defect, contrast | {' | '.join(f'{length} px' for length in lengths)} |",
        f"|---|{'---|' * len(lengths)}",
    ]
    for (kind, contrast), curve in record.curves.items():
        by_length = {cell.length: cell for cell in curve}
        columns = (_column(by_length.get(length)) for length in lengths)
        lines.append(f"| {kind}{'' if contrast is None else f', {contrast:.0%}'} | {' | '.join(columns)} |")
    return "\n".join(lines)


def _column(cell: DetectabilityCell | None) -> str:
    if cell is None:
        return "–"
    return f"{cell.found}/{cell.shown} ({100 * cell.low:.0f}–{100 * cell.high:.0f})"
