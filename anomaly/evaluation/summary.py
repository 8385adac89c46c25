"""The numbers of an evaluation: the content of `metrics.json`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from anomaly.calibration import is_above
from anomaly.evaluation.intervals import Interval
from anomaly.evaluation.metrics import (
    ImageMetrics,
    auroc,
    auroc_by_kind,
    image_metrics,
    interval_by_kind,
    lead_over,
    num_by_kind,
    rates_at,
)
from anomaly.evaluation.results import Evaluation, PixelFigures


class Standing(StrEnum):
    """Where the detector stands beside the plain baselines."""

    AHEAD = "ahead"
    LEVEL = "level"
    BEHIND = "behind"
    ALONE = "alone"


@dataclass(frozen=True)
class Rival:
    """A plain baseline: its AUROC, and the 95% interval of the detector's minus it, on the same images."""

    auroc: float
    lead_ci95: Interval

    @property
    def is_better(self) -> bool:
        """Than the detector, beyond chance."""
        return self.lead_ci95[1] < 0

    @property
    def is_worse(self) -> bool:
        """Than the detector, beyond chance."""
        return self.lead_ci95[0] > 0


@dataclass(frozen=True)
class Summary:
    """All numbers of an evaluation. Shares and rates lie in [0, 1]; None where a number does not exist.

    `num_parts` and `fpr_of_parts` count one normal image of each part that the model has not seen.
    """

    image: ImageMetrics
    fpr_at_threshold: float | None
    tpr_at_threshold: float | None
    auroc_by_kind: dict[str, float]
    ci95_by_kind: dict[str, Interval]
    num_by_kind: dict[str, int]
    auroc_by_term: dict[str, float]
    rivals: dict[str, Rival]
    num_parts: int | None = None
    fpr_of_parts: float | None = None

    @property
    def standing(self) -> Standing:
        """Compare with all baselines; a difference that chance can explain is none."""
        if not self.rivals:
            return Standing.ALONE
        if any(rival.is_better for rival in self.rivals.values()):
            return Standing.BEHIND
        return Standing.AHEAD if all(rival.is_worse for rival in self.rivals.values()) else Standing.LEVEL

    @property
    def closest_rival(self) -> str:
        """The name of the baseline that the standing is of, with the highest AUROC of such; there must be one."""
        match self.standing:
            case Standing.BEHIND:
                names = [name for name, rival in self.rivals.items() if rival.is_better]
            case Standing.LEVEL:
                names = [name for name, rival in self.rivals.items() if not rival.is_worse]
            case _:
                names = list(self.rivals)
        return max(names, key=lambda name: self.rivals[name].auroc)


def summarise(evaluation: Evaluation) -> Summary:
    """Measure an evaluation; raises DataError unless there are both normal and anomalous images."""
    images = evaluation.images
    scores, labels = images.scores, images.labels
    fpr, tpr = rates_at(scores, labels, evaluation.threshold)
    return Summary(
        image=image_metrics(scores, labels, parts=images.parts),
        fpr_at_threshold=fpr,
        tpr_at_threshold=tpr,
        auroc_by_kind=auroc_by_kind(scores, labels, images.kinds),
        ci95_by_kind=interval_by_kind(scores, labels, images.kinds, images.parts),
        num_by_kind=num_by_kind(labels, images.kinds),
        auroc_by_term={term: auroc(values, labels) for term, values in images.terms.items()},
        rivals={
            name: Rival(auroc(theirs, labels), lead_over(scores, theirs, labels, images.parts))
            for name, theirs in evaluation.baselines.scores.items()
        },
        num_parts=None if images.counted is None else int(images.counted.sum()),
        fpr_of_parts=_fpr_of_parts(evaluation),
    )


def metrics_of(evaluation: Evaluation, summary: Summary) -> dict[str, object]:
    """The content of `metrics.json`: JSON values only, without NaN."""
    model = evaluation.model
    return {
        "model": model.name,
        "digest": model.digest,
        "method": model.method,
        "data": evaluation.data,
        **asdict(summary.image),
        "auroc_ci95": list(summary.image.auroc_ci95),
        "threshold": evaluation.threshold,
        "alpha": evaluation.alpha,
        "fpr_at_threshold": summary.fpr_at_threshold,
        "tpr_at_threshold": summary.tpr_at_threshold,
        "num_parts": summary.num_parts,
        "fpr_of_parts": summary.fpr_of_parts,
        **_pixel_metrics(evaluation.pixel),
        "baselines": {name: rival.auroc for name, rival in summary.rivals.items()},
        "lead_ci95": {name: list(rival.lead_ci95) for name, rival in summary.rivals.items()},
        "num_baseline": evaluation.baselines.num_images,
        "auroc_by_kind": summary.auroc_by_kind,
        "auroc_ci95_by_kind": {kind: list(interval) for kind, interval in summary.ci95_by_kind.items()},
        "num_by_kind": summary.num_by_kind,
        "auroc_by_term": summary.auroc_by_term,
        "seed": model.seed,
        "num_calibration": model.num_calibration,
        "num_failed": evaluation.num_failed,
        "failures": _listed(evaluation.failures),
    }


def _fpr_of_parts(evaluation: Evaluation) -> float | None:
    counted = evaluation.images.counted
    if counted is None or evaluation.threshold is None or not counted.any():
        return None
    return float(is_above(evaluation.images.scores[counted], evaluation.threshold).mean())


def _pixel_metrics(pixel: PixelFigures | None) -> dict[str, object]:
    if pixel is None:
        return {}
    return {
        "pixel_auroc": pixel.auroc,
        "aupro": pixel.aupro,
        "num_pixel_normal": pixel.num_normal,
        "num_pixel_anomalous": pixel.num_anomalous,
        "num_without_mask": pixel.num_without,
        "pixel_region": pixel.region,
        "num_outside_region": pixel.num_outside,
        "num_masks_failed": len(pixel.failures),
        "mask_failures": _listed(pixel.failures),
        "masks_perhaps_inverted": list(pixel.inverted),
    }


def _listed(failures: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"path": path, "error": reason} for path, reason in failures]
