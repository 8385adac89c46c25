"""The detector: images in; scores, p-values, verdicts, reconstructions and heatmaps out.

Every score depends on its image and the bundle only. Shapes: pixels (n, c, size, size) uint8; scores (n,) float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import Bundle
from anomaly.calibration import Calibration, check_alpha, is_above
from anomaly.config import PreprocessConfig, Resize
from anomaly.config.places import STRIDE
from anomaly.data import PixelsOfImages, restore_map
from anomaly.defaults import ALPHA
from anomaly.errors import UsageError
from anomaly.inference.engine import Engine, Latents, Maps, Terms
from anomaly.inference.images import Images, ReadImages, read_images
from anomaly.scoring import combine, outlying_above
from anomaly.sizes import size_warning


@dataclass(frozen=True)
class Evidence:
    """Raw scores (n,) and what they are made of; no decision. z_hat is (n, latent_dim), (n, 0) where there is no G."""

    score: NDArray[np.float64]
    terms: dict[str, NDArray[np.float64]]
    z_hat: NDArray[np.float32]

    @classmethod
    def join(cls, parts: Sequence["Evidence"]) -> "Evidence":
        """That of several batches, at least one, in order."""
        return cls(
            np.concatenate([part.score for part in parts]),
            {name: np.concatenate([part.terms[name] for part in parts]) for name in parts[0].terms},
            np.concatenate([part.z_hat for part in parts]),
        )


@dataclass(frozen=True)
class Explanation:
    """Pictures of the evidence: reconstructions (n, c, size, size) in [-1, 1], and a heatmap (h, w) of each image.

    There are no reconstructions where there is no G. Heatmaps have the shape of the preprocessed image, or are coarser.
    They are not clamped: 0.25 is the strongest place of an ordinary normal image.
    """

    x_hat: NDArray[np.float32] | None
    heatmap: list[NDArray[np.float32]]


@dataclass(frozen=True)
class Scores:
    """Results in the order of the images. One that could not be read has its reason in `errors`, and NaN elsewhere.

    `warnings` say why the p-value of an image does not hold, by its size or shape; None else (see
    `Detector.size_warning`). `unseen` says what of an image's file nobody looked at, such as further pages; None else.
    `remarks` are sentences on how files were read, each with the number of images that it is true of, and the first.

    `is_anomalous` says whether the score is above the threshold; None where there is no threshold (too few calibration
    images for `alpha`) or no score. Reconstructions and heatmaps are computed when they are first read.
    """

    score: NDArray[np.float64]
    p_value: NDArray[np.float64]
    is_anomalous: list[bool | None]
    threshold: float | None
    alpha: float
    terms: dict[str, NDArray[np.float64]]
    errors: list[str | None]
    warnings: list[str | None]
    unseen: list[str | None]
    remarks: list[str]
    _z_hat: NDArray[np.float32] = field(repr=False)
    _detector: "Detector" = field(repr=False)
    _read: ReadImages = field(repr=False)

    @property
    def z_hat(self) -> NDArray[np.float32] | None:
        """The latents (n, latent_dim); None where the recipe has no G."""
        return self._z_hat if self._z_hat.shape[1] else None

    @property
    def x_hat(self) -> NDArray[np.float32] | None:
        """The reconstructions (n, c, size, size) in [-1, 1]; None where the recipe has no G."""
        return self._explanation.x_hat

    @cached_property
    def heatmap(self) -> list[NDArray[np.float32]]:
        """A map for each image, of its own height and width; 0.25 is the strongest place of an ordinary normal."""
        config = self._detector.preprocess
        maps = zip(self._explanation.heatmap, self._read.sizes, strict=True)
        return [restore_map(heatmap, config, height, width) for heatmap, (height, width) in maps]

    @cached_property
    def _explanation(self) -> Explanation:
        explained = self._detector.explain(self._read.pixels, self._z_hat)
        failed = [error is not None for error in self.errors]
        if explained.x_hat is not None:
            explained.x_hat[failed] = np.nan
        for number in np.flatnonzero(failed):
            explained.heatmap[number][:] = np.nan
        return explained


class Detector:
    """A verified bundle, and the engine that runs its evidence graph."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.bundle = bundle
        self.engine = engine

    @property
    def grain(self) -> int:
        """Smaller batches take as long as one of so many images."""
        return self.engine.grain

    @property
    def preprocess(self) -> PreprocessConfig:
        """The one preprocessing of this bundle."""
        return self.bundle.manifest.recipe.preprocess

    @property
    def calibration(self) -> Calibration:
        """Ranks among held-out normals: p-values and thresholds."""
        return self.bundle.contents.calibration

    def score(self, images: Images, *, alpha: float = ALPHA) -> Scores:
        """Score one image or many: paths, PIL images, uint8 arrays (h, w) or (h, w, 3), or a batch.

        Many are a list or a generator, in which there may be the bytes of files too.
        A batch is an array or a tensor (n, c, h, w): uint8, or float in [-1, 1], where black is -1; floats are rounded
        to 8 bits. A batch of floats without a value below 0 is refused: it may be scaled to [0, 1]. Files are decoded
        in threads while the networks run.

        Raises:
            UsageError: `alpha` is not inside (0, 1), `images` is none of these, or a batch has another shape, type or
                range. What is wrong with one image is in `errors`.
        """
        alpha = check_alpha(alpha)
        read: list[ReadImages] = []
        parts: list[Evidence] = []
        for chunk in read_images(images, self.preprocess):
            read.append(chunk)
            parts.append(self.evidence(chunk.pixels))
        whole, evidence = ReadImages.join(read), _blank_out(Evidence.join(parts), read)
        threshold = self.calibration.threshold(alpha)
        has_none = np.isnan(evidence.score) | (threshold is None)
        above = is_above(evidence.score, threshold).tolist()
        return Scores(
            score=evidence.score,
            p_value=self.calibration.p_values(evidence.score),
            is_anomalous=[None if no else each for no, each in zip(has_none.tolist(), above, strict=True)],
            threshold=threshold,
            alpha=alpha,
            terms=evidence.terms,
            errors=whole.errors,
            warnings=[
                None if error else self.size_warning(*size)
                for error, size in zip(whole.errors, whole.sizes, strict=True)
            ],
            unseen=whole.unseen,
            remarks=whole.remarks.sentences(),
            _z_hat=evidence.z_hat,
            _detector=self,
            _read=whole,
        )

    def size_warning(self, height: int, width: int) -> str | None:
        """Why the p-value of a picture of so many pixels a side, as on disk, does not hold; None where it does.

        A bundle that did not keep the sizes of its calibration warns of none, and only with a region the shape is
        looked at (see `anomaly.sizes`).
        """
        return size_warning((height, width), self.bundle.manifest.data.calibration_sizes, self.preprocess)

    @cached_property
    def outlying(self) -> float:
        """How many standard deviations above the *select* normals' mean a term is extreme (see `outlying_above`)."""
        data = self.bundle.manifest.data
        return outlying_above(data.num_select_parts or data.num_select)

    def evidence(self, pixels: PixelsOfImages) -> Evidence:
        """Scores and terms of preprocessed images.

        Raises:
            UsageError: they are not what `read` or `preprocess` gives with this bundle's preprocessing.
        """
        _check_preprocessed(pixels, self.preprocess)
        return self._evidence(*self.engine.observe(pixels)) if len(pixels) else self._no_evidence()

    def explain(self, pixels: PixelsOfImages, z_hat: NDArray[np.float32]) -> Explanation:
        """Reconstructions and heatmaps of preprocessed images whose latents are known. Raises as `evidence` does."""
        _check_preprocessed(pixels, self.preprocess)
        return self._explanation(*self.engine.explain(pixels, z_hat)) if len(pixels) else self._no_explanation(pixels)

    def examine(self, pixels: PixelsOfImages) -> tuple[Evidence, Explanation]:
        """The evidence of preprocessed images and its pictures, quicker than by two calls. Raises as `evidence`."""
        _check_preprocessed(pixels, self.preprocess)
        if not len(pixels):
            return self._no_evidence(), self._no_explanation(pixels)
        terms, z_hat, explained = self.engine.examine(pixels)
        return self._evidence(terms, z_hat), self._explanation(*explained)

    def _evidence(self, terms: Terms, z_hat: Latents) -> Evidence:
        contents = self.bundle.contents
        return Evidence(combine(terms, contents.statistics, contents.manifest.recipe), terms, z_hat)

    @property
    def _no_latents(self) -> Latents:
        """(0, latent_dim), as the goldens tell it."""
        return self.bundle.contents.golden.z_hat[:0]

    def _no_evidence(self) -> Evidence:
        terms = {name: np.empty(0) for name in self.bundle.manifest.terms}
        return Evidence(np.empty(0), terms, self._no_latents)

    def _explanation(self, x_hat: NDArray[np.float32] | None, maps: Maps) -> Explanation:
        scale = self.bundle.contents.map_scale
        return Explanation(x_hat, [scale.heatmap(each[None])[0] for each in maps])

    def _no_explanation(self, pixels: PixelsOfImages) -> Explanation:
        return Explanation(np.empty(np.shape(pixels), np.float32) if self._no_latents.shape[1] else None, [])

    def warm(self, max_images: int) -> None:
        """Run every batch shape for up to `max_images` once, so that no image waits for the device's first call."""
        self.engine.warm(max_images)


def _check_preprocessed(pixels: PixelsOfImages, config: PreprocessConfig) -> None:
    """Raises UsageError unless these are images as the engine takes them. An array is looked at once for all."""
    is_whole = config.resize is Resize.WHOLE
    first = pixels[:1] if isinstance(pixels, np.ndarray) else pixels
    sides = f"h, w), h and w multiples of {STRIDE}" if is_whole else f"{config.size}, {config.size})"
    for image in first:
        fits = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
        if fits and image.shape[0] == config.channels:
            height, width = image.shape[1:]
            if (height % STRIDE == 0 == width % STRIDE) if is_whole else (height == config.size == width):
                continue
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UsageError(
            f"preprocessed images are arrays of uint8 and the shape ({config.channels}, {sides} for this model; this "
            f"is {got}. Let anomaly.data.read make them, or give the images themselves to score"
        )


def _blank_out(evidence: Evidence, read: Sequence[ReadImages]) -> Evidence:
    """NaN for what could not be read."""
    failed = np.array([error is not None for part in read for error in part.errors], dtype=bool)
    if not failed.any():
        return evidence
    return Evidence(
        np.where(failed, np.nan, evidence.score),
        {name: np.where(failed, np.nan, term) for name, term in evidence.terms.items()},
        np.where(failed[:, None], np.float32(np.nan), evidence.z_hat),
    )
