"""Progress on a terminal: images read or scored, training steps with their losses. One line a minute in a log file."""

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from anomaly.cli.console import warn

if TYPE_CHECKING:
    from anomaly.distributed.tally import Tally
    from anomaly.recipes import Resolved

_LOG_EVERY_S = 60.0


class CountingBar:
    """A bar that counts what is done, such as images."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._progress = _progress(console)
        self._task = self._progress.add_task(title, total=None)
        self._logged_at = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, total: int) -> None:
        """So many are to be done."""
        self._progress.update(self._task, total=total)

    def advance(self) -> None:
        """One more is done."""
        self._progress.advance(self._task)

    def _log(self, line: str) -> None:
        """One line a minute, where there is no bar."""
        if not self._console.is_terminal and time.monotonic() - self._logged_at > _LOG_EVERY_S:
            self._console.print(line)
            self._logged_at = time.monotonic()


class ArchiveBar(CountingBar):
    """Counts shards, with images a second and errors by kind, and the time that remains; then those that are marked."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, "Scoring shards")

    def shard(self, tally: "Tally") -> None:
        """One more shard is done, or has failed."""
        errors = "; ".join(f"{num:,} × {kind}" for kind, num in tally.errors.most_common(3))
        told = f"{tally.images_per_second:,.0f} images/s{'  ' if errors else ''}{errors}"
        self._progress.update(self._task, completed=tally.num_shards, curves=escape(told))
        total = int(self._progress.tasks[0].total or 0)
        left = timedelta(seconds=round((total - tally.num_shards) * tally.seconds / tally.num_shards))
        self._log(f"shard {tally.num_shards:,}/{total:,}  {left} left  {escape(told)}")

    def marking(self) -> None:
        """All are scored; now the column `fdr_rejected` is set."""
        self._progress.update(self._task, description="Marking shards", completed=0)


class TrainingBar(CountingBar):
    """Counts images as they are read, then shows the stages of training: losses, D(x) and D(G(z)) beside steps.

    Each stage, and the calibration at the end, has a count and a remaining time of its own.
    """

    def __init__(self, console: Console, max_minutes: float | None) -> None:
        super().__init__(console, "Reading")
        self._steps = 0
        self._limit = f", at most {max_minutes:g} min" if max_minutes is not None else ""
        self._stage, self._logged_as = "Reading", ""

    def recipe(self, resolved: "Resolved") -> None:
        """The recipe is known: a line above the bar says which, and why it was chosen."""
        self._steps = resolved.recipe.training.steps
        from anomaly.recipes import sides  # here: the command line starts without it

        reason = f", chosen for {resolved.reason}" if resolved.reason else ""
        told = f"recipe {resolved.name}{reason}; training at {sides(resolved.recipe.preprocess)}, {self._steps:,} steps"
        if not resolved.recipe.has_generator:
            told += f" for each network{self._limit}{' for all steps' if self._limit else ''}"
        self._console.print(escape(told))

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """So many pictures or steps of a stage are done; None where it counts nothing."""
        if stage != self._stage:
            self._begin(stage, total)
        self._progress.update(self._task, completed=done)
        self._logged_as = f"{stage}  "
        self._log(stage if total is None else f"{stage}  {done}/{total}")

    def step(self, step: int, curves: dict[str, float]) -> None:
        """Steps done so far, and the means of the curves of the last few."""
        if self._stage == "Reading":  # the training tells no stages
            self._begin(f"Training{self._limit}", self._steps)
        shown = {
            "loss_d": "D",
            "loss_g": "G",
            "loss_g_half": "G half",
            "cycle_x": "|x-GE|",
            "d_real": "D(x)",
            "d_fake": "D(G(z))",
        }
        losses = "  ".join(f"{label} {curves[name]:.3f}" for name, label in shown.items() if name in curves)
        self._progress.update(self._task, completed=step, curves=losses)
        self._log(f"{self._logged_as}step {step}/{self._steps}  {losses}")

    def warn(self, warning: str) -> None:
        """A line above the bar, and in a log file."""
        warn(warning, on=self._console)

    def calibrating(self) -> None:
        """Training is over."""
        self._begin("Calibrating", None)

    def measuring(self) -> None:
        """The bundle is complete; what it finds is measured for about a minute at most."""
        self._begin("Measuring how small a defect is found, about 1 min at most", None)

    def _begin(self, stage: str, total: int | None) -> None:
        """A stage of its own: nothing of the count, the time and the losses of the one before is left."""
        self._progress.remove_task(self._task)
        self._stage, self._task = stage, self._progress.add_task(stage, total=total)


def _progress(console: Console) -> Progress:
    """Count and remaining time come first, and are whole on a narrow terminal; losses take what is left."""
    columns = (
        SpinnerColumn("line" if console.options.ascii_only else "dots"),
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        _KnownCount(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=12, table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[curves]}", table_column=Column(no_wrap=True, overflow="crop", ratio=1)),
    )
    return _Quiet(*columns, console=console, disable=not console.is_terminal, expand=True)


class _KnownCount(MofNCompleteColumn):
    """Nothing where there is nothing to count."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task)


class _Quiet(Progress):
    """Every task has a place for curves."""

    def add_task(self, description: str, *, total: float | None = None) -> int:  # type: ignore[override]
        return super().add_task(description, total=total, curves="")
