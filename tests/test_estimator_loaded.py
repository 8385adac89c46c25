"""An estimator from a bundle, fitted anew."""

from pathlib import Path

import pytest
from sklearn.base import clone

from anomaly.errors import UsageError
from anomaly.estimator import GanDetector
from anomaly.pipeline.train import TrainOptions
from tests.digit_images import normals
from tests.distributed.archives import MNIST
from tests.test_estimator import tiny


@pytest.mark.filterwarnings("ignore:there are .* normal images to train on", "ignore:no image can be called anomalous")
def test_a_loaded_estimator_of_a_recipe_file_says_which_file_it_fits_anew_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text('training.method = "bigan"\n')
    monkeypatch.chdir(tmp_path)
    estimator = tiny("training.steps=1").set_params(recipe=tmp_path / "mine.toml").fit(normals())
    loaded = GanDetector.load(estimator.save(tmp_path / "m"), device="cpu")
    assert loaded.recipe == "mine.toml"
    again = clone(loaded).set_params(overrides=estimator.overrides)
    assert again.fit(normals()).detector_.bundle.manifest.recipe == loaded.detector_.bundle.manifest.recipe
    (tmp_path / "mine.toml").unlink()
    with pytest.raises(UsageError, match=r"the recipe mine\.toml cannot be read .*; check the path"):
        clone(loaded).fit(normals())


def test_an_empty_text_is_not_the_folder_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = GanDetector.load(MNIST, device="cpu")
    monkeypatch.chdir(tmp_path)
    for call in (estimator.save, estimator.predict, estimator.fit, GanDetector.load):
        with pytest.raises(UsageError, match="is an empty text, as where a variable is not set; give a path"):
            call("")
    with pytest.raises(UsageError, match="out is an empty text"):
        TrainOptions(data="digits", out="")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
