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
class EvaluatedModel:
    """What a bundle says of itself; nothing of it is measured on the test split.

    `name` is NAME/VERSION. `seed` is of the one training that is measured. Above `outlying` standard deviations a term
    is extreme. `region` is a sentence on what counts, where not all does. `detectability` says how small a defect it
    finds; None where that is not known.
    """

    name: str
    digest: str
    method: str
    seed: int
    num_calibration: int
    outlying: float = OUTLYING
    region: str | None = None
    detectability: DetectabilityRecord | None = None


@dataclass(frozen=True)
class ScoredSplit:
    """The images of a test split that have a score; each list and array has one entry for each, in one order.

    `labels` is True for anomalous; `kinds` names the defect or class. `standardised` has the terms in standard
    deviations above the mean of the *select* normals. `counted` is None where parts are not told apart; else it is True
    for one normal image of each part that the model has not seen, and `parts` has the part of each image, "" of an
    anomaly that has none.
    """

    paths: list[str]
    labels: NDArray[np.bool_]
    kinds: list[str]
    scores: NDArray[np.floating]
    p_values: NDArray[np.floating]
    terms: dict[str, NDArray[np.floating]]
    standardised: Mapping[str, NDArray[np.floating]]
    counted: NDArray[np.bool_] | None = None
    parts: Sequence[str] | None = None


@dataclass(frozen=True)
class Baselines:
    """Scores of the test images by the baseline's name, and the number of normal images that they were fitted on."""

    scores: Mapping[str, NDArray[np.floating]]
    num_images: int


@dataclass(frozen=True)
class Evaluation:
    """A model on a test split, beside the plain baselines.

    `data` and `title` are for people. `threshold` is None where there were too few calibration images for `alpha`.
    `pixel` is None where the data set has no masks; `failures` are (path, reason) of images that could not be scored.
    `examples` may be made one at a time, as they are asked for: all may be larger than memory.
    """

    title: str
    data: str
    model: EvaluatedModel
    images: ScoredSplit
    alpha: float
    threshold: float | None
    baselines: Baselines
    pixel: PixelFigures | None
    examples: Iterable[Example]
    failures: list[tuple[str, str]]

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
