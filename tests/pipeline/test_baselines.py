"""The baselines of an evaluation see the training normals, or as many as the memory that they may take."""

from pathlib import Path

import numpy as np
import pytest

from anomaly.config import PreprocessConfig
from anomaly.data import Limits
from anomaly.evaluation import Baselines, knn_scores, pca_scores
from anomaly.pipeline import baselines
from anomaly.pipeline.baselines import BaselineImages, measure_baselines
from tests.digit_images import Pixels, digits, normals, others


def measured(known: Pixels, tested: Pixels, folder: Path) -> Baselines:
    train, test = (BaselineImages([], images[:, None]) for images in (known, tested))
    return measure_baselines(PreprocessConfig(size=8, channels=1), train, test, folder=folder, limits=Limits())


def test_of_more_than_memory_may_hold_some_are_drawn_alike_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, tested = digits("train", "0")[:60], np.concatenate([normals()[:10], others()[:10]])
    whole = measured(known, tested, tmp_path)
    assert whole.num_images == 60
    np.testing.assert_array_equal(whole.scores["pca"], pca_scores(known[:, None], tested[:, None]))
    monkeypatch.setattr(baselines, "MAX_VALUES", 60 * 64)
    np.testing.assert_array_equal(measured(known, tested, tmp_path).scores["knn"], whole.scores["knn"])
    monkeypatch.setattr(baselines, "MAX_VALUES", 20 * 64 + 63)
    fewer = measured(known, tested, tmp_path)
    assert fewer.num_images == 20
    rows = np.sort(np.random.default_rng(0).choice(60, size=20, replace=False))
    np.testing.assert_array_equal(fewer.scores["knn"], knn_scores(known[rows][:, None], tested[:, None]))
    np.testing.assert_array_equal(fewer.scores["knn"], measured(known, tested, tmp_path).scores["knn"])


def test_images_that_are_tested_on_are_not_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = digits("train", "0")[:30]
    monkeypatch.setattr(baselines, "MAX_VALUES", 10 * 64)
    found = measured(known, known[:25], tmp_path)
    assert found.num_images == 5
    assert (found.scores["knn"] > 0).all()
