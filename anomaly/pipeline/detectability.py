"""How small a defect a new bundle finds, measured when it is complete: the last step of `anomaly train`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anomaly.bundle import Contents, unsaved
from anomaly.data import Limits, Sample, open_readable
from anomaly.defaults import ALPHA
from anomaly.evaluation import measure_detectability
from anomaly.inference import detector_of

TIME_LIMIT_S = 60.0
LOW_ALPHA = 0.01
"""The false-alarm rate that is told where the calibration images are enough for it; ALPHA where they are not."""


def with_detectability(
    contents: Contents,
    samples: Sequence[Sample],
    out: Path,
    *,
    device: str,
    limits: Limits,
    max_minutes: float | None = None,
) -> Contents:
    """The contents with the shares of drawn defects that a detector on them finds in the *report* normals `samples`.

    `out` is where the contents will be saved. It takes a minute at most, and no longer than the training's own limit
    `max_minutes`. Unchanged where there are no samples, no threshold, or no time; nothing but this section of the
    manifest depends on what is found.
    """
    alpha = next((alpha for alpha in (LOW_ALPHA, ALPHA) if contents.calibration.threshold(alpha) is not None), None)
    if alpha is None or not samples:
        return contents
    detector = detector_of(unsaved(contents, out), device=device)
    recipe = contents.manifest.recipe
    time_limit_s = TIME_LIMIT_S if max_minutes is None else min(TIME_LIMIT_S, 60 * max_minutes)
    readable = open_readable(samples, limits=limits, value_range=recipe.preprocess.range)
    record = measure_detectability(
        (np.array(picture) for _, picture in readable),
        lambda pictures: detector.score(pictures, alpha=alpha).is_anomalous,
        alpha=alpha,
        seed=recipe.training.seed,
        region=recipe.preprocess.region,
        time_limit_s=time_limit_s,
    )
    return replace(contents, manifest=contents.manifest.model_copy(update={"detectability": record}))
