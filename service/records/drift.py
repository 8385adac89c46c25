"""Drift of each model that scores: one watch a bundle's digest, for as long as the process lives.

A new bundle, or a new process, begins again with the calibration alone; the alarm's guarantee is for each such stream.
Every score that is answered is fed, in the order of the answers.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from anomaly.bundle import Bundle
from anomaly.calibration import Drift

logger = logging.getLogger(__name__)


@dataclass
class Watched:
    """One bundle's drift, and when its alarm went off."""

    drift: Drift
    alarm_time: datetime | None = None


class DriftWatch:
    """All bundles'. For the event loop's thread; takes some ten microseconds a score."""

    def __init__(self, rate: float, *, observe: Callable[[Bundle, float, bool], None]) -> None:
        """`rate`: of each alarm; `observe` is told of log10 M and of the alarm after each score."""
        self.rate = rate
        self._observe = observe
        self._watched: dict[str, Watched] = {}

    def add(self, bundle: Bundle, score: float, p_value: float) -> None:
        """Watch a score that `bundle` gave."""
        watched = self.of(bundle)
        if watched.drift.add(score, p_value):
            watched.alarm_time = datetime.now(UTC)
            logger.warning(
                "drift: the scores of %s version %d are no longer distributed as its calibration's (after %d images, "
                "false-alarm rate %g); look at camera and light, then calibrate again",
                *(bundle.name, bundle.version, watched.drift.num_scores, self.rate),
            )
        self._observe(bundle, watched.drift.log10_martingale, watched.alarm_time is not None)

    def of(self, bundle: Bundle) -> Watched:
        """What is watched of a bundle, from its first score on."""
        watched = self._watched.get(bundle.digest)
        if watched is None:
            calibration = bundle.contents.calibration.scores
            drift = Drift(calibration, rate=self.rate, rng=np.random.default_rng())
            watched = self._watched[bundle.digest] = Watched(drift)
        return watched
