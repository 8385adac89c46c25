"""What an evaluation found, as plain arrays, and which images are worth looking at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import DetectabilityRecord
from anomaly.scoring import StrongestPlace
from anomaly.scoring.combine import OUTLYING


@dataclass(frozen=True)
class Example:
    """One image to look at. `image` and `mask` have the size of the file, `reconstruction`, if any, that of the model.

    image, reconstruction: uint8 (h, w) or (h, w, 3). heatmap: float (h, w) on a display scale, from 0 to 1; `strongest`
    is its strongest place, None where all of it is equal. `standardised` has, by term, how many standard deviations the
    image lies above the mean of the *select* normals. region: bool (h, w), what counts; None where all of it does.
    """

    group: str
    path: str
    kind: str
    score: float
    p_value: float
    image: NDArray[np.uint8]
    reconstruction: NDArray[np.uint8] | None
    heatmap: NDArray[np.floating]
    strongest: StrongestPlace | None
    standardised: dict[str, float]
    mask: NDArray[np.bool_] | None
    region: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class PixelFigures:
    """What the heatmaps reach at the defects, and the images behind it.

    `auroc` and `aupro` are None where no mask of a defect can be used. `num_normal` and `num_anomalous` count the
    images measured, `num_without` the anomalous ones that have no mask, and `failures` are (path, reason) of those
    whose mask cannot be used. `inverted` are files of masks that seem to be inverted, and are used as they are. Where
    the model has a region, only pixels inside count: `region` is their share, and `num_outside` are anomalous images
    without a defect there, which are measured as normal ones.
    """

    auroc: float | None
    aupro: float | None
    num_normal: int
    num_anomalous: int
    num_without: int
    failures: list[tuple[str, str]]
    region: float | None = None
    num_outside: int = 0
    inverted: Sequence[str] = ()


@dataclass(frozen=True)
class Evaluation:
    """A bundle's scores on a test split; arrays and lists have one entry for each scored image, in one order.

    `model` is NAME/VERSION, `data` and `title` are for people. `labels` is True for anomalous; `kinds` names the defect
    or class. `threshold` is None where there were too few calibration images for `alpha`. `baselines` are the scores of
    the same images by name, fitted on `num_baseline` normal images; `pixel` is None where the data set has no masks;
    `failures` are (path, reason). `seed` is of the one training that is measured. `standardised` has the terms in
    standard deviations above the mean of the *select* normals, and above `outlying` of them a term is extreme.
    `counted` is None where parts are not told apart; else it is True for one normal image of each part that the model
    has not seen, and `parts` has the part of each image, "" of an anomaly that has none. `detectability` is what the
    bundle says of itself, not measured on this data; None where it says nothing. `region` is a sentence on what counts,
    where not all does. `examples` may be made one at a time, as they are asked for: all may be larger than memory.
    """

    title: str
    model: str
    digest: str
    method: str
    data: str
    paths: list[str]
    labels: NDArray[np.bool_]
    kinds: list[str]
    scores: NDArray[np.floating]
    p_values: NDArray[np.floating]
    terms: dict[str, NDArray[np.floating]]
    standardised: Mapping[str, NDArray[np.floating]]
    threshold: float | None
    alpha: float
    baselines: Mapping[str, NDArray[np.floating]]
    num_baseline: int
    pixel: PixelFigures | None
    examples: Iterable[Example]
    failures: list[tuple[str, str]]
    num_calibration: int
    seed: int
    counted: NDArray[np.bool_] | None = None
    parts: Sequence[str] | None = None
    detectability: DetectabilityRecord | None = None
    region: str | None = None
    outlying: float = OUTLYING

    @property
    def num_failed(self) -> int:
        """Images that could not be scored."""
        return len(self.failures)


def choose_examples(
    scores: NDArray[np.floating], labels: NDArray[np.bool_], *, per_group: int = 6
) -> dict[str, list[int]]:
    """Indices of the best and worst images by group, most telling first; ties keep the order given.

    Where there are few images, one may be in two groups.
    """
    rising, falling = np.argsort(scores, kind="stable"), np.argsort(-scores, kind="stable")
    groups = {
        "Anomalies with the highest scores": falling[labels[falling]],
        "Anomalies with the lowest scores (missed first)": rising[labels[rising]],
        "Normals with the highest scores (false alarms first)": falling[~labels[falling]],
        "Normals with the lowest scores": rising[~labels[rising]],
    }
    return {group: indices[:per_group].tolist() for group, indices in groups.items()}
