"""Drift of each model that scores: one watch for each bundle's digest.

Where there is a history, it keeps what is watched (`records/history/streams.py`), and every row is fed. Without one, it
is in memory: every score that is answered is fed, in the order of the answers, for as long as the process lives.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import Bundle
from anomaly.calibration import Drift, generator_of

logger = logging.getLogger(__name__)


@dataclass
class Watched:
    """One bundle's drift, and when its alarm went off."""

    drift: Drift
    alarm_time: datetime | None = None

    @classmethod
    def new(cls, digest: str, calibration: NDArray[np.float64], rate: float) -> "Watched":
        """That of a bundle that has scored nothing yet; `calibration`: ascending, `rate`: of its alarm."""
        return cls(Drift(calibration, rate=rate, rng=generator_of(digest)))

    def add(self, score: float, p_value: float, part: str | None) -> bool:
        """Watch one score; whether it has set off the alarm."""
        is_first = self.drift.add(score, p_value, part)
        if is_first:
            self.alarm_time = datetime.now(UTC)
        return is_first


def warn_of_drift(model: str, version: int, drift: Drift) -> None:
    """One line in the log, when an alarm has gone off."""
    logger.warning(
        "drift: the scores of %s version %d are no longer distributed as its calibration's (after %d images, "
        "false-alarm rate %g); look at camera and light, then calibrate again",
        *(model, version, drift.alarm_at, drift.rate),
    )


class DriftWatch:
    """All bundles', in memory. For the event loop's thread; takes some ten microseconds a score."""

    def __init__(self, rate: float) -> None:
        """`rate`: of each alarm."""
        self.rate = rate
        self._watched: dict[str, Watched] = {}

    def add(self, bundle: Bundle, score: float, p_value: float, part: str | None) -> None:
        """Watch a score that `bundle` gave to a picture of this part."""
        watched = self.of(bundle)
        if watched.add(score, p_value, part):
            warn_of_drift(bundle.name, bundle.version, watched.drift)

    def of(self, bundle: Bundle) -> Watched:
        """What is watched of a bundle, from its first score on."""
        watched = self._watched.get(bundle.digest)
        if watched is None:
            calibration = bundle.contents.calibration.scores
            watched = self._watched[bundle.digest] = Watched.new(bundle.digest, calibration, self.rate)
        return watched
