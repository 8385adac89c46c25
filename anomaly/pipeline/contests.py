"""Which recipe `anomaly recipes try` names: the first, unless a later one is better beyond chance.

Which defects will come, the normals cannot say. So the first recipe is named, which is the one that the images choose,
unless another tells the spoilt ones clearly better, on these pictures and beyond chance, and is clearly worse by
neither way of spoiling. All recipes are judged by the same pictures, so the interval of a lead is a paired one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from anomaly.evaluation.intervals import Interval
from anomaly.training.places.statistics import preferred


@dataclass(frozen=True)
class TrialFigures:
    """How well a recipe tells normals from the same spoilt: the AUROC, its 95 % interval, and the time that it takes.

    `drawn` and `moved` are the AUROCs of drawn defects and of parts at a wrong place alone. `score_ms` is of an image.
    `is_cut_short`: the time limit ended its training.
    """

    auroc: float
    interval: Interval
    drawn: float
    moved: float
    train_s: float
    score_ms: float
    is_cut_short: bool


@dataclass(frozen=True)
class Trial:
    """One recipe with its figures; without them `failure` says why it could not be tried."""

    name: str
    figures: TrialFigures | None
    failure: str = ""


class ContestOutcome(StrEnum):
    """What a later recipe is beside the one that was the best of those before it."""

    BETTER = "better"
    """Clearly, beyond chance, and clearly worse by no way of spoiling: it is named in its place."""
    WORSE = "worse"
    """Beyond chance."""
    NOT_CLEARLY = "not clearly better"
    """By less than a point, or than what one of the normals could change."""
    BY_CHANCE = "perhaps by chance"
    """Clearly better on these pictures, but the interval of the lead does not leave 0 behind."""
    WORSE_BY_ONE = "worse by one way"
    """Clearly better in both ways together, and clearly worse by one."""


@dataclass(frozen=True)
class Contest:
    """A later recipe beside the best of those before it: its lead in AUROC, and the 95 % interval of the lead."""

    later: Trial
    best: Trial
    lead: float
    interval: Interval
    outcome: ContestOutcome


@dataclass(frozen=True)
class TrialSummary:
    """The trials in the order in which they ran, of how many images, and of how many parts where these are known.

    `leads` are the intervals of the AUROC of a later one minus that of an earlier, by their places, of the same images.
    """

    trials: tuple[Trial, ...]
    num_learnt: int
    num_judged: int
    leads: Mapping[tuple[int, int], Interval]
    num_parts: int | None = None

    @property
    def best(self) -> Trial | None:
        """The first, unless a later one is better than it. None where all failed."""
        tried = [trial for trial in self.trials if trial.figures is not None]
        better = [contest.later for contest in self.contests if contest.outcome is ContestOutcome.BETTER]
        return better[-1] if better else next(iter(tried), None)

    @property
    def contests(self) -> list[Contest]:
        """Each but the first, in turn, beside the best before it; without those that failed."""
        contests: list[Contest] = []
        best: tuple[int, TrialFigures] | None = None
        for place, trial in enumerate(self.trials):
            if trial.figures is None:
                continue
            if best is not None:
                contests.append(self._contest(place, trial.figures, *best))
            if best is None or contests[-1].outcome is ContestOutcome.BETTER:
                best = place, trial.figures
        return contests

    def _contest(self, place: int, later: TrialFigures, earlier: int, best: TrialFigures) -> Contest:
        interval = self.leads[place, earlier]
        if interval[1] < 0:
            outcome = ContestOutcome.WORSE
        elif not self._is_clear(later.auroc, best.auroc):
            outcome = ContestOutcome.NOT_CLEARLY
        elif self._is_clear(best.drawn, later.drawn) or self._is_clear(best.moved, later.moved):
            outcome = ContestOutcome.WORSE_BY_ONE
        elif interval[0] <= 0:
            outcome = ContestOutcome.BY_CHANCE
        else:
            outcome = ContestOutcome.BETTER
        return Contest(self.trials[place], self.trials[earlier], later.auroc - best.auroc, interval, outcome)

    def _is_clear(self, auroc: float, other: float) -> bool:
        return preferred((other, auroc), self.num_parts or self.num_judged) == 1
