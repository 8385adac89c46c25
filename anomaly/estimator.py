"""The detector as a scikit-learn estimator, for who has a pipeline, a grid search or an evaluation of that kind.

In its own methods scikit-learn's signs hold: `score_samples` and `decision_function` are lower for what is anomalous,
and `predict` gives 1 for normal. That is the one exception to law 1; `detector_` and bundles have the usual sign.
Source of the methods' meaning: scikit-learn's guide, "Novelty and Outlier Detection", and its outlier detectors.
"""

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import PIL.Image
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from anomaly.bundle import Bundle, save, unsaved
from anomaly.calibration import check_alpha
from anomaly.counted import counted
from anomaly.data import Dataset, Pixels, Sample, expand_inputs, open_dataset, to_array
from anomaly.defaults import ALPHA
from anomaly.errors import ImageError, InputError
from anomaly.extras import WITH_TORCH, require
from anomaly.files import given_path
from anomaly.inference import Detector, Scores, detector_of, load_detector
from anomaly.recipes import AUTO, merged, parse_overrides, recipe_names

Image: TypeAlias = "str | Path | PIL.Image.Image | Pixels"
Images: TypeAlias = "Pixels | str | Path | Sequence[Image]"
"""An array (n, h, w) or (n, h, w, c) of uint8; paths, PIL images or arrays (h, w[, c]) of any sizes; a folder."""

_MAX_SEED = 2**31
_UINT8 = "expected uint8: of values in [0, 1] give (X * 255).round().astype('uint8'); of 16 bits give the files' paths"


class GanDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Learns normal images, and tells of others whether they are anomalous.

    `recipe` and `overrides` are what `anomaly train` has as --recipe and --set, such as ("training.steps=1000",).
    `alpha` is the false-alarm rate of `predict` and `decision_function`; it may be changed after `fit`. `random_state`
    is the seed; None leaves it to the recipe, so that training is repeatable. Training ends after `max_minutes`.

    X is an array (n, h, w) or (n, h, w, c), c of 1, 3 (RGB) or 4 (RGBA), of uint8; or a list of paths, of PIL images of
    8 bits or of such arrays (h, w[, c]), whose sizes may differ; or a folder: for `fit` any DATA of `anomaly train`,
    for the other methods the images in it by path, as `anomaly score` takes them.

    `detector_` is there after `fit`: it has terms and heatmaps, and answers for each image where some cannot be read.
    """

    def __init__(
        self,
        recipe: str | Path = "auto",
        *,
        overrides: Sequence[str] = (),
        alpha: float = ALPHA,
        random_state: int | RandomState | None = None,
        max_minutes: float | None = None,
        device: str = "auto",
    ) -> None:
        self.recipe = recipe
        self.overrides = overrides
        self.alpha = alpha
        self.random_state = random_state
        self.max_minutes = max_minutes
        self.device = device

    def fit(self, X: Images, y: object = None) -> Self:
        """Learn from normal images, at least 20 of them, and calibrate on others of them. `y` is not looked at.

        What cannot be read is left out. What a user must know of the training is a warning, and in the bundle's card.

        Raises:
            InputError: X is not of the kinds above, or the seed is set twice. It is a ValueError.
            UsageError: the recipe, an override or `alpha` does not fit, `max_minutes` is below 0, or torch is not
                installed.
            DataError: too few images, or none that can be read.
            TrainingError: training diverged.
            ImageError: a PIL image cannot be loaded.
        """
        require("GanDetector.fit", "torch", *WITH_TORCH)
        from anomaly.pipeline.train import TrainOptions, TrainWatch, train_on  # here: what only scores needs no torch

        check_alpha(self.alpha)
        overrides = self.overrides
        if not isinstance(overrides, list | tuple) or not all(isinstance(text, str) for text in overrides):
            raise InputError(
                f"overrides is {overrides!r}; expected a list or tuple of texts SECTION.FIELD=VALUE, such as "
                '("training.steps=1000",)'
            )
        given = parse_overrides(overrides)
        if self.random_state is not None and "seed" in given.get("training", {}):
            raise InputError("training.seed is set twice, by overrides and by random_state: leave one of them away")
        dataset = _dataset(X)
        seed = {} if self.random_state is None else {"training": {"seed": self._seed()}}
        with tempfile.TemporaryDirectory(prefix="anomaly-fit-") as folder:
            options = TrainOptions(
                data=dataset.name,
                out=Path(folder) / "estimator",
                recipe=str(self.recipe) if isinstance(self.recipe, Path) else self.recipe,
                overrides=merged(given, seed),
                max_minutes=self.max_minutes,
                device=self.device,
                measures=False,
            )
            summary = train_on(dataset, options, TrainWatch(on_warning=_warn))
        manifest = summary.bundle.manifest
        if manifest.is_cut_short:
            _warn(
                f"max_minutes ended the training after {manifest.steps_done}, so it may be worth much less than a "
                "whole one; fit again with more minutes, or with max_minutes=None"
            )
        if summary.left_out:
            num = counted(len(summary.left_out), "image is left out, which", "images are left out, which")
            _warn(f"{num} cannot be read; the first: {summary.left_out[0][1]}")
        self._hold(summary.bundle)
        return self

    def score_samples(self, X: Images) -> NDArray[np.float64]:
        """(n,): the negative of the anomaly score, so **higher is more normal**, as scikit-learn has it.

        Raises:
            ImageError: an image cannot be read; the message names the first.
        """
        return -self._scores(X).score

    def decision_function(self, X: Images) -> NDArray[np.float64]:
        """(n,): `score_samples` less its threshold for `alpha`; below 0 is anomalous, 0 and above is normal.

        Raises:
            ImageError: an image cannot be read.
            InputError: too few images were held out to calibrate for a threshold at `alpha`; the message says how many.
        """
        scores = self._scores(X)
        if scores.threshold is None:
            raise InputError(self.detector_.calibration.shortage(self.alpha))
        return scores.threshold - scores.score

    def predict(self, X: Images) -> NDArray[np.int64]:
        """(n,): -1 for anomalous, 1 for normal, at the false-alarm rate `alpha`. Raises as `decision_function` does."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Images) -> NDArray[np.float64]:
        """(n,): the share of normal images that score as anomalous or more, by those held out; small is anomalous.

        Raises:
            ImageError: an image cannot be read.
        """
        return self._scores(X).p_value

    def save(self, path: str | Path) -> Path:
        """Write a new version of the bundle `path`, models/NAME, for `anomaly score`, `serve` and all else; its folder.

        Raises:
            StorageError: the folder cannot be written.
        """
        check_is_fitted(self, "detector_")
        return save(self.detector_.bundle.contents, given_path(path, "path")).ref.path

    @classmethod
    def load(cls, path: str | Path, *, alpha: float = ALPHA, device: str = "auto") -> Self:
        """An estimator as `fit` leaves it, from a bundle that it or `anomaly train` wrote.

        Its `recipe` is the name that the bundle has, with .toml where it began as a file: to fit anew, the file must be
        there, or its path be given by `set_params`. Fields that were set on top of it are in
        `detector_.bundle.manifest.recipe`, and would have to be given again.

        Raises:
            BundleError: there is no bundle, or it is damaged.
            DeviceError: the device is not there.
        """
        detector = load_detector(path, device=device)
        name = detector.bundle.manifest.recipe_name or AUTO
        recipe = name if name in (AUTO, *recipe_names()) else f"{name}.toml"
        estimator = cls(recipe, alpha=alpha, device=device)
        estimator.detector_ = detector
        return estimator

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        try:
            return int(check_random_state(self.random_state).randint(_MAX_SEED))
        except ValueError as error:
            raise InputError(
                f"random_state is {self.random_state!r}; expected a number, a numpy.random.RandomState, or None"
            ) from error

    def _hold(self, bundle: Bundle) -> None:
        """Its files are gone, or were never there."""
        self.detector_ = detector_of(unsaved(bundle.contents, Path("estimator")), device=self.device)

    def _scores(self, X: Images) -> Scores:
        check_is_fitted(self, "detector_")
        images = _images(X)
        scores = self.detector_.score(images, alpha=self.alpha)
        if failures := [error for error in scores.errors if error is not None]:
            raise ImageError(
                f"{len(failures)} of {len(scores.errors)} images cannot be scored; the first: {failures[0]}. Leave "
                "them out, or call detector_.score, which has an answer for each image"
            )
        for remark in scores.remarks:
            _warn(remark)
        if of_other_sizes := [number for number, warning in enumerate(scores.warnings) if warning]:
            first = of_other_sizes[0]
            name = images[first] if isinstance(images[first], str | Path) else f"image {first}"
            _warn(
                f"the p-values of {len(of_other_sizes)} of {counted(len(images), 'image')} do not hold; the first, "
                f"{name}: {scores.warnings[first]}"
            )
        return scores

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """For copies and for processes of joblib. Networks at work cannot be copied: the bundle is, and runs anew."""
        state: dict[str, Any] = super().__getstate__()
        detector = state.get("detector_")
        return state | {"detector_": detector.bundle} if isinstance(detector, Detector) else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        bundle = state.get("detector_")
        super().__setstate__({name: value for name, value in state.items() if name != "detector_"})
        if isinstance(bundle, Bundle):
            self.detector_ = detector_of(bundle, device=self.device)


def _warn(warning: str) -> None:
    warnings.warn(warning, UserWarning, stacklevel=2)


def _dataset(X: Images) -> Dataset:
    """Normal images to learn from, as `anomaly train` has them."""
    if isinstance(X, str | Path):
        return open_dataset(str(X))
    samples = tuple(_sample(image, f"image {number}") for number, image in enumerate(_images(X)))
    is_in_memory = any(sample.pixels is not None for sample in samples)
    return Dataset("arrays" if is_in_memory else "paths", "arrays" if is_in_memory else "folder", samples)


def _sample(image: Image, name: str) -> Sample:
    if isinstance(image, str | Path):
        return Sample(str(image), None, "normal", "")
    pixels = to_array(image, name=name) if isinstance(image, PIL.Image.Image) else np.ascontiguousarray(image)
    return Sample(name, None, "normal", "", pixels)


def _images(X: Images) -> list[Image]:
    """What `Detector.score` takes, one by one.

    Raises:
        InputError: X is of another kind.
    """
    if isinstance(X, str | Path):
        paths, _ = expand_inputs([str(X)])
        return list(paths)
    if isinstance(X, PIL.Image.Image):
        raise InputError("X is one PIL image; expected a list of them: give [image]")
    if hasattr(X, "tocsr"):
        raise InputError("X is sparse; sparse input is not supported: images are dense arrays (n, h, w[, c]) of uint8")
    if not isinstance(X, Sequence):
        X = np.asarray(X)
    if isinstance(X, np.ndarray) and (X.dtype.kind not in "OU" or X.ndim != 1):
        _check_array(X)
    images = list(X)
    if not images:
        raise InputError("X has no images: it has 0 sample(s), while a minimum of 1 is required")
    for number, image in enumerate(images):
        _check_image(image, f"image {number} of X")
    return images


def _check_array(X: NDArray[np.generic]) -> None:
    if X.dtype.kind == "c":
        raise InputError("X is of complex numbers. Complex data not supported: expected uint8")
    if X.ndim not in (3, 4) or (X.ndim == 4 and X.shape[3] not in (1, 3, 4)) or 0 in X.shape[1:]:
        of_table = "; of a table give the column of paths" if X.dtype.kind in "OU" else ""
        raise InputError(f"X has the shape {X.shape}; expected (n, h, w), or (n, h, w, c) with c = 1, 3 or 4{of_table}")
    _check_image(X, "X")


def _check_image(image: object, name: str) -> None:
    if isinstance(image, np.ndarray) and image.dtype != np.uint8:
        raise InputError(f"{name} is of {image.dtype}; {_UINT8}")
    if isinstance(image, PIL.Image.Image) and image.mode.startswith(("I", "F")):
        raise InputError(f"{name} is a PIL image of mode {image.mode}; expected 8 bits: give the file's path")
    if not isinstance(image, str | Path | PIL.Image.Image | np.ndarray):
        raise InputError(
            f"{name} is of {type(image).__name__}; expected a list of paths, of PIL images or of uint8 arrays "
            "(h, w[, c]), an array (n, h, w[, c]) of uint8, or a folder"
        )
