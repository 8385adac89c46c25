"""The time that a training may take, and what is said of one that it ended."""

import time
from dataclasses import dataclass
from typing import Self

from anomaly.bundle import Manifest
from anomaly.config import Method, Recipe
from anomaly.training import HistoryRow

GAME_SHARE = 2 / 3
"""Of the minutes, for a game that an encoder follows."""


@dataclass
class TimeLimit:
    """Ends a training when its minutes are over.

    Without `started`, they begin with the first steps: where φ's maps are computed before, which may take minutes.
    """

    minutes: float | None
    recipe: Recipe
    started: float | None

    @classmethod
    def of(cls, recipe: Recipe, minutes: float | None) -> Self:
        """The limit of a training that begins now; None is no limit."""
        return cls(minutes, recipe, time.monotonic() if recipe.has_generator else None)

    def is_over(self, row: HistoryRow) -> bool:
        """Whether the step of this row was the last."""
        if self.minutes is None:
            return False
        if self.started is None:
            self.started = time.monotonic()
        in_game = self.recipe.training.method is Method.F_ANOGAN and "loss_d" in row
        return time.monotonic() - self.started >= 60 * self.minutes * (GAME_SHARE if in_game else 1)


def cut_short(manifest: Manifest) -> str:
    """The warning of a training that it ended."""
    return (
        f"the time limit ended the training after {manifest.steps_done}, so it may be worth much less than a whole "
        f"one; {how_to_go_on(manifest.recipe)}"
    )


def how_to_go_on(recipe: Recipe) -> str:
    """What to do where the time was not enough."""
    if not recipe.has_generator:
        return "train again with more time: this recipe keeps no checkpoint to go on from"
    if recipe.training.method is Method.F_ANOGAN:
        return "train again with more time: a game that was cut short for its encoder cannot go on"
    return "to go on from there, give the same command with --resume and without --max-minutes, or with more"
