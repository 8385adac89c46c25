"""The test images of an evaluation with what the detector makes of them, and those that its report shows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.config.region import inside_of
from anomaly.data import (
    Limits,
    PixelsOfImages,
    Sample,
    chunks,
    restore_map,
    take,
    to_array,
    to_channels_last,
    to_pixels,
)
from anomaly.errors import ImageError
from anomaly.evaluation import Example
from anomaly.inference import Detector, Evidence
from anomaly.pipeline.pixel_figures import MasksRead, read_masks
from anomaly.scoring import strongest_place


@dataclass(frozen=True)
class ScoredImages:
    """The test images that could be read, with what the detector makes of them; one entry for each image.

    `masks` is None where the data set has none. `heatmaps` are those of the images whose mask is known, by place, as
    the model makes them.
    """

    samples: list[Sample]
    pixels: PixelsOfImages
    labels: NDArray[np.bool_]
    evidence: Evidence
    masks: MasksRead | None
    heatmaps: Mapping[int, NDArray[np.float32]]


def score_images(
    detector: Detector, samples: list[Sample], pixels: PixelsOfImages, labels: NDArray[np.bool_], limits: Limits
) -> ScoredImages:
    """Score images, at least one, and read their masks; with masks the heatmaps are of the same pass.

    Raises:
        DataError: the masks are inverted.
    """
    masks = read_masks(samples, limits)
    if masks is None:
        return ScoredImages(samples, pixels, labels, detector.evidence(pixels), None, {})
    parts: list[Evidence] = []
    heatmaps: dict[int, NDArray[np.float32]] = {}
    for chunk in chunks(len(samples), detector.preprocess):
        evidence, explanation = detector.examine(pixels[chunk])
        parts.append(evidence)
        known = enumerate(explanation.heatmap, start=chunk.start)
        heatmaps |= {row: heatmap for row, heatmap in known if row in masks.masks}
    return ScoredImages(samples, pixels, labels, Evidence.join(parts), masks, heatmaps)


@dataclass(frozen=True)
class ChosenExamples:
    """Images to look at, `chosen` by group. Each is read again when its turn comes: all would be too much for memory.

    Files that went away since they were scored are passed over.
    """

    detector: Detector
    scored: ScoredImages
    chosen: Mapping[str, Sequence[int]]
    limits: Limits

    def __iter__(self) -> Iterator[Example]:
        detector, scored = self.detector, self.scored
        evidence, region = scored.evidence, detector.preprocess.region
        standardised = detector.bundle.contents.statistics.standardise(evidence.terms)
        for group, rows in self.chosen.items():
            explanation = detector.explain(take(scored.pixels, rows), evidence.z_hat[rows])
            p_values = detector.calibration.p_values(evidence.score[rows])
            reconstructions = [None] * len(rows) if explanation.x_hat is None else list(explanation.x_hat)
            pictures = zip(rows, reconstructions, explanation.heatmap, p_values, strict=True)
            for row, x_hat, heatmap, p_value in pictures:
                sample = scored.samples[row]
                try:
                    image = to_array(sample.open(limits=self.limits, value_range=detector.preprocess.range))
                except ImageError:
                    continue
                restored = restore_map(heatmap, detector.preprocess, image.shape[0], image.shape[1])
                yield Example(
                    group=group,
                    path=sample.path,
                    kind=sample.kind,
                    score=float(evidence.score[row]),
                    p_value=float(p_value),
                    image=image,
                    reconstruction=None if x_hat is None else to_channels_last(to_pixels(x_hat)),
                    heatmap=restored.clip(0, 1),
                    strongest=strongest_place(restored),
                    standardised={name: float(values[row]) for name, values in standardised.items()},
                    mask=scored.masks.masks.get(row) if scored.masks else None,
                    region=inside_of(region, *image.shape[:2]) if region is not None else None,
                )
