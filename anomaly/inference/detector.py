"""The detector: images in; scores, p-values, verdicts, reconstructions and heatmaps out.

Every score depends on its image and the bundle only. Shapes: pixels (n, c, size, size) uint8; scores (n,) float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.bundle import Bundle
from anomaly.calibration import Calibration, check_alpha
from anomaly.config import PreprocessConfig
from anomaly.data import Limits, decode, preprocess, restore_map, to_array
from anomaly.errors import ImageError, UsageError
from anomaly.inference.passes import Passes
from anomaly.scoring import combine

ALPHA = 0.05
Image = str | Path | PIL.Image.Image | NDArray[np.uint8]
Images = Image | Sequence[Image] | Tensor


@dataclass(frozen=True)
class Evidence:
    """Raw scores (n,) and what they are made of; no decision. x_hat (n, c, size, size) in [-1, 1]."""

    score: NDArray[np.float64]
    terms: dict[str, NDArray[np.float64]]
    z_hat: NDArray[np.float32]
    x_hat: NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """Results in the order of the images. One that could not be read has its reason in `errors`, and NaN elsewhere.

    `is_anomalous` is `score > threshold`; None where there is no threshold (too few calibration images for `alpha`)
    or no score. `x_hat` are the reconstructions (n, c, size, size) in [-1, 1].
    """

    score: NDArray[np.float64]
    p_value: NDArray[np.float64]
    is_anomalous: list[bool | None]
    threshold: float | None
    alpha: float
    terms: dict[str, NDArray[np.float64]]
    z_hat: NDArray[np.float32]
    x_hat: NDArray[np.float32]
    errors: list[str | None]
    _detector: "Detector" = field(repr=False)
    _pixels: NDArray[np.uint8] = field(repr=False)
    _sizes: list[tuple[int, int]] = field(repr=False)

    @cached_property
    def heatmap(self) -> list[NDArray[np.float32]]:
        """One map an image, of the image's own height and width; 0.25 is the strongest place of an ordinary normal."""
        maps = self._detector.heatmaps(self._pixels, self.z_hat)
        config = self._detector.preprocess
        return [restore_map(m, config, height, width) for m, (height, width) in zip(maps, self._sizes, strict=True)]


class Detector:
    """A verified bundle on a device."""

    def __init__(self, bundle: Bundle, passes: Passes) -> None:
        self.bundle = bundle
        self._passes = passes

    @property
    def preprocess(self) -> PreprocessConfig:
        """The one preprocessing of this bundle."""
        return self.bundle.manifest.preprocess

    @property
    def calibration(self) -> Calibration:
        """Ranks among held-out normals: p-values and thresholds."""
        return self.bundle.contents.calibration

    def score(self, images: Images, *, alpha: float = ALPHA) -> Scores:
        """Score one image or many: paths, PIL images, uint8 arrays (h, w) or (h, w, 3), or a batch tensor.

        A batch tensor is (n, c, h, w): uint8, or float in [-1, 1], which is rounded to 8 bits.

        Raises:
            UsageError: `alpha` is not inside (0, 1), or a batch tensor has another shape or type.
        """
        check_alpha(alpha)
        read = [self._read(image, i) for i, image in enumerate(_as_list(images))]
        pixels = np.stack([pixels for pixels, _, _ in read]) if read else self._blank(0)
        errors = [error for _, _, error in read]
        failed = np.array([error is not None for error in errors], dtype=bool)
        evidence = self.evidence(pixels)
        if failed.any():
            evidence = _blank_out(evidence, failed)
        threshold = self.calibration.threshold(alpha)
        return Scores(
            score=evidence.score,
            p_value=np.where(failed, np.nan, self.calibration.p_values(evidence.score)),
            is_anomalous=[
                None if threshold is None or error else bool(score > threshold)
                for score, error in zip(evidence.score, errors, strict=True)
            ],
            threshold=threshold,
            alpha=alpha,
            terms=evidence.terms,
            z_hat=evidence.z_hat,
            x_hat=evidence.x_hat,
            errors=errors,
            _detector=self,
            _pixels=pixels,
            _sizes=[size for _, size, _ in read],
        )

    def evidence(self, pixels: NDArray[np.uint8]) -> Evidence:
        """Scores and terms of preprocessed images (n, c, size, size)."""
        contents = self.bundle.contents
        if not len(pixels):
            network = contents.manifest.network
            terms = {name: np.empty(0) for name in contents.manifest.terms}
            return Evidence(
                np.empty(0), terms, np.empty((0, network.latent_dim), np.float32), np.empty(pixels.shape, np.float32)
            )
        found = self._passes.reconstruct(pixels)
        score = combine(found.terms, contents.statistics, contents.manifest.score)
        return Evidence(score, found.terms, found.z_hat, found.x_hat)

    def heatmaps(self, pixels: NDArray[np.uint8], z_hat: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, size, size), not clamped: 0.25 is the strongest place of an ordinary normal image."""
        if not len(pixels):
            return np.empty((0, self.preprocess.size, self.preprocess.size), np.float32)
        return self.bundle.contents.map_scale.heatmap(self._passes.maps(pixels, z_hat))

    def _read(self, image: Image | Tensor, index: int) -> tuple[NDArray[np.uint8], tuple[int, int], str | None]:
        """Preprocessed pixels, the image's height and width, and why it could not be read."""
        try:
            if isinstance(image, str | Path):
                image = decode(Path(image), name=str(image), limits=Limits())
            array = to_array(_to_pixels(image) if isinstance(image, Tensor) else image)
            return preprocess(array, self.preprocess), (array.shape[0], array.shape[1]), None
        except ImageError as error:
            name = "" if isinstance(image, str | Path) else f"image {index}: "
            return self._blank(1)[0], (1, 1), f"{name}{error}"

    def _blank(self, n: int) -> NDArray[np.uint8]:
        config = self.preprocess
        return np.zeros((n, config.channels, config.size, config.size), np.uint8)


def _blank_out(evidence: Evidence, failed: NDArray[np.bool_]) -> Evidence:
    """NaN for what could not be read."""
    return Evidence(
        np.where(failed, np.nan, evidence.score),
        {name: np.where(failed, np.nan, term) for name, term in evidence.terms.items()},
        np.where(failed[:, None], np.float32(np.nan), evidence.z_hat),
        np.where(failed[:, None, None, None], np.float32(np.nan), evidence.x_hat),
    )


def _as_list(images: Images) -> Sequence[Image | Tensor]:
    if isinstance(images, Tensor):
        return _unpack(images)
    if isinstance(images, str | Path | PIL.Image.Image | np.ndarray):
        return [images]
    return images


def _unpack(batch: Tensor) -> list[Tensor]:
    """(n, c, h, w), uint8 or float, as its images (c, h, w)."""
    if batch.ndim != 4 or batch.shape[1] not in (1, 3):
        shape = tuple(batch.shape)
        raise UsageError(f"a batch tensor has the shape (n, c, h, w) with 1 or 3 channels; this one has {shape}")
    if not batch.is_floating_point() and batch.dtype != torch.uint8:
        raise UsageError(f"a batch tensor is of uint8, or of floats in [-1, 1]; this one is of {batch.dtype}")
    return list(batch.detach().cpu())


def _to_pixels(image: Tensor) -> NDArray[np.uint8]:
    """(c, h, w), uint8 or float in [-1, 1], as uint8 (h, w, c) or (h, w)."""
    if image.is_floating_point():
        if not bool(((image >= -1) & (image <= 1)).all()):
            raise ImageError("floats of a batch tensor lie in [-1, 1]; these go beyond, or are not finite")
        image = ((image + 1) * 127.5).round().to(torch.uint8)
    array: NDArray[np.uint8] = image.permute(1, 2, 0).numpy()
    return array[:, :, 0] if array.shape[2] == 1 else array
