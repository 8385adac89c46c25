"""The real images, where they are."""

import os
from pathlib import Path

import numpy as np
import pytest

from anomaly.config import PreprocessConfig
from anomaly.data import PixelStore, open_dataset, split_normals

pytestmark = pytest.mark.data


@pytest.fixture
def data_folder() -> Path:
    if "ANOMALY_DATA" not in os.environ:
        # skipped, not failed: these images may not be shipped; `.ci/run` sets the folder where it has them
        pytest.skip("set ANOMALY_DATA to the folder with mnist/ and magnetic-tile/ to run this")
    return Path(os.environ["ANOMALY_DATA"])


def test_mnist(data_folder: Path, tmp_path: Path) -> None:
    data = open_dataset(str(data_folder / "mnist"), normal=["8"])
    assert (len(data.train_normals()), len(data.test())) == (5851, 10_000)
    store = PixelStore.build(data.train_normals(), PreprocessConfig(), tmp_path / "pixels")
    assert (np.shape(store.pixels), store.errors) == ((5851, 1, 32, 32), ())
    assert len(split_normals(5851, seed=0).calibrate) == 585


def test_magnetic_tiles_as_classes(data_folder: Path) -> None:
    data = open_dataset(str(data_folder / "magnetic-tile"), normal=["MT_Free"])
    assert data.form == "classes"
    assert {sample.kind for sample in data.samples if sample.label == "normal"} == {"MT_Free"}
