"""Drift: whether a model's scores are still distributed as its calibration's."""

from datetime import datetime

from pydantic import Field

from service.schemas.base import ModelIdentity, Schema


class DriftQuery(Schema):
    """Which version."""

    version: int | None = Field(default=None, ge=1)
    """One of its versions; the current one if left out."""


class DriftWindow(Schema):
    """The p-values of the last answers, counted."""

    num: int
    """How many there are: the last 1,000 at the most."""
    counts: list[int]
    """20 bins of equal width over 0 … 1; those of a steady process are alike."""


class DriftAnswer(ModelIdentity):
    """Whether the scores are still distributed as the calibration's, since it began to be watched."""

    rate: float
    """The probability that the alarm ever sounds while nothing changes."""
    num_scores: int
    log10_martingale: float
    """The evidence against a steady process, of which 1/rate is the alarm's line."""
    max_log10_martingale: float
    alarm: bool
    """True once the evidence has reached the line of the alarm, until a new bundle serves or the drift begins anew."""
    alarm_at: int | None
    """The number of the score that set it off."""
    alarm_time: datetime | None
    trajectory: list[tuple[int, float]]
    """[number of scores, log10_martingale], thinned to at most 514 points."""
    window: DriftWindow
