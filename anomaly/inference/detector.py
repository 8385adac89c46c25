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
from anomaly.data import Limits, Pixels, decode, preprocess, preprocess_batch, restore_map, to_image
from anomaly.errors import ImageError, UsageError
from anomaly.inference.passes import Passes
from anomaly.scoring import combine

ALPHA = 0.05
_CHUNK = 256  # images read, then judged
Image = str | Path | PIL.Image.Image | Pixels
Images = Image | Sequence[Image] | Tensor


@dataclass(frozen=True)
class Evidence:
    """Raw scores (n,) and what they are made of; no decision. x_hat (n, c, size, size) in [-1, 1]."""

    score: NDArray[np.float64]
    terms: dict[str, NDArray[np.float64]]
    z_hat: NDArray[np.float32]
    x_hat: NDArray[np.float32]

    @classmethod
    def join(cls, parts: Sequence["Evidence"]) -> "Evidence":
        """That of several batches, at least one, in order."""
        return cls(
            np.concatenate([part.score for part in parts]),
            {name: np.concatenate([part.terms[name] for part in parts]) for name in parts[0].terms},
            np.concatenate([part.z_hat for part in parts]),
            np.concatenate([part.x_hat for part in parts]),
        )


@dataclass(frozen=True)
class _Read:
    """Preprocessed pixels, the images' heights and widths, and why they could not be read."""

    pixels: Pixels
    sizes: list[tuple[int, int]]
    errors: list[str | None]

    @classmethod
    def join(cls, parts: Sequence["_Read"]) -> "_Read":
        return cls(
            np.concatenate([part.pixels for part in parts]),
            [size for part in parts for size in part.sizes],
            [error for part in parts for error in part.errors],
        )


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
    _pixels: Pixels = field(repr=False)
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
        read, evidence = self._read_and_judge(_as_batch(images))
        errors = read.errors
        failed = np.array([error is not None for error in errors], dtype=bool)
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
            _pixels=read.pixels,
            _sizes=read.sizes,
        )

    def evidence(self, pixels: Pixels) -> Evidence:
        """Scores and terms of preprocessed images (n, c, size, size)."""
        contents = self.bundle.contents
        if not len(pixels):
            network = contents.manifest.network
            terms = {name: np.empty(0) for name in contents.manifest.terms}
            return Evidence(
                np.empty(0), terms, np.empty((0, network.latent_dim), np.float32), np.empty(pixels.shape, np.float32)
            )
        found = self._passes.reconstruct(pixels)
        manifest = contents.manifest
        score = combine(
            found.terms, contents.statistics, manifest.score, method=manifest.method, search=manifest.search
        )
        return Evidence(score, found.terms, found.z_hat, found.x_hat)

    def warm(self, max_images: int) -> None:
        """Let no image pay for the device's first call: run every shape that batches of up to `max_images` come in."""
        self._passes.warm(max_images)

    def generate(self, z: NDArray[np.float32]) -> NDArray[np.float32]:
        """G(z) of latents (n, latent_dim), at least one: images (n, c, size, size) in [-1, 1]."""
        return self._passes.generate(z)

    def heatmaps(self, pixels: Pixels, z_hat: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, size, size), not clamped: 0.25 is the strongest place of an ordinary normal image."""
        if not len(pixels):
            return np.empty((0, self.preprocess.size, self.preprocess.size), np.float32)
        return self.bundle.contents.map_scale.heatmap(self._passes.maps(pixels, z_hat))

    def _read_and_judge(self, images: Sequence[Image | Tensor] | Pixels) -> tuple[_Read, Evidence]:
        """Chunk by chunk, so that what was read is still in the processor's cache when it is judged."""
        read: list[_Read] = []
        evidence: list[Evidence] = []
        for start in range(0, max(len(images), 1), _CHUNK):
            read.append(self._read(images[start : start + _CHUNK], start))
            evidence.append(self.evidence(read[-1].pixels))
        return _Read.join(read), Evidence.join(evidence)

    def _read(self, images: Sequence[Image | Tensor] | Pixels, first: int) -> _Read:
        """Consecutive images, the first of which has the index `first`."""
        if isinstance(images, np.ndarray) and len(images):
            n, height, width = images.shape[:3]
            return _Read(preprocess_batch(images, self.preprocess), [(height, width)] * n, [None] * n)
        results = [self._read_one(image, index) for index, image in enumerate(images, start=first)]
        pixels = np.stack([pixels for pixels, _, _ in results]) if results else self._blank(0)
        return _Read(pixels, [size for _, size, _ in results], [error for _, _, error in results])

    def _read_one(self, image: Image | Tensor, index: int) -> tuple[Pixels, tuple[int, int], str | None]:
        """Preprocessed pixels, the image's height and width, and why it could not be read."""
        try:
            if isinstance(image, str | Path):
                image = decode(Path(image), name=str(image), limits=Limits())
            picture = to_image(_to_pixels(image) if isinstance(image, Tensor) else image)
            return preprocess(picture, self.preprocess), (picture.height, picture.width), None
        except ImageError as error:
            name = "" if isinstance(image, str | Path) else f"image {index}: "
            return self._blank(1)[0], (1, 1), f"{name}{error}"

    def _blank(self, n: int) -> Pixels:
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


def _as_batch(images: Images) -> Sequence[Image | Tensor] | Pixels:
    """Images one by one, or an array (n, h, w) or (n, h, w, 3) of them."""
    if isinstance(images, Tensor):
        return _unpack(images)
    if isinstance(images, str | Path | PIL.Image.Image | np.ndarray):
        return [images]
    return images


def _unpack(batch: Tensor) -> Sequence[Tensor] | Pixels:
    """(n, c, h, w) of uint8 as an array (n, h, w) or (n, h, w, 3); of floats as its images (c, h, w)."""
    if batch.ndim != 4 or batch.shape[1] not in (1, 3) or 0 in batch.shape[2:]:
        shape = tuple(batch.shape)
        raise UsageError(f"a batch tensor has the shape (n, c, h, w) with 1 or 3 channels; this one has {shape}")
    if not batch.is_floating_point() and batch.dtype != torch.uint8:
        raise UsageError(f"a batch tensor is of uint8, or of floats in [-1, 1]; this one is of {batch.dtype}")
    batch = batch.detach().cpu()
    return list(batch) if batch.is_floating_point() else _without_single_channel(batch.permute(0, 2, 3, 1).numpy())


def _to_pixels(image: Tensor) -> Pixels:
    """Floats (c, h, w) in [-1, 1] as uint8 (h, w, c) or (h, w)."""
    if not bool(((image >= -1) & (image <= 1)).all()):
        raise ImageError("floats of a batch tensor lie in [-1, 1]; these go beyond, or are not finite")
    return _without_single_channel(((image + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy())


def _without_single_channel(array: Pixels) -> Pixels:
    """(…, h, w, 1) → (…, h, w); colour stays."""
    return array[..., 0] if array.shape[-1] == 1 else array
