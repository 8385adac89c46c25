"""The plain baselines of an evaluation: PCA and nearest neighbours, on the same split and the same pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anomaly.config import PreprocessConfig, Resize
from anomaly.data import Limits, PixelsOfImages, PixelStore, Sample, image_keys
from anomaly.evaluation import Baselines, knn_scores, pca_scores

_MIN_IMAGES = 2  # PCA needs as many
_SIDE = 64  # pixels of the squares that baselines see where pictures keep their shapes
MAX_VALUES = 2**28  # of all training images: 1 GiB as float32, 1,365 coloured pictures of 256 × 256 pixels


class BaselineImages(NamedTuple):
    """Samples, and the preprocessed pixels of those that could be read."""

    samples: Sequence[Sample]
    pixels: PixelsOfImages


def measure_baselines(
    config: PreprocessConfig,
    train: BaselineImages,
    test: BaselineImages,
    *,
    folder: Path,
    limits: Limits,
) -> Baselines:
    """Fitted on the training normals; none where there are none to fit on.

    Images that are also tested on are left out: a baseline that knew them would have nothing to show. Of images with
    more than MAX_VALUES in all, so many are drawn by a fixed seed. Where pictures keep their shapes, squares of them
    are made in `folder`.
    """
    if isinstance(train.pixels, np.ndarray) and isinstance(test.pixels, np.ndarray):
        known, tested = train.pixels, test.pixels
    else:
        squares = config.model_copy(update={"resize": Resize.STRETCH, "size": _SIDE})
        known, tested = (
            np.asarray(PixelStore.build(images.samples, squares, folder / f"{name}.u8", limits=limits).pixels)
            for name, images in (("train-squares", train), ("test-squares", test))
        )
    rows = np.flatnonzero(~np.isin(image_keys(known), image_keys(tested)))
    if len(rows) < _MIN_IMAGES:
        return Baselines({}, 0)
    num = max(_MIN_IMAGES, MAX_VALUES // known[0].size)
    if num < len(rows):
        rows = np.sort(np.random.default_rng(0).choice(rows, size=num, replace=False))
    known = known[rows]
    return Baselines({"pca": pca_scores(known, tested), "knn": knn_scores(known, tested)}, len(known))
