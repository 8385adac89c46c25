"""From pixels to contents, by evidence that this test makes up: `learn` knows nothing of files or of inference."""

from collections import Counter
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from anomaly.bundle import Contents, DataRecord, NormalSet
from anomaly.calibration import Calibration
from anomaly.config import Precision, Recipe
from anomaly.data import PixelsOfImages, image_keys, split_normals
from anomaly.networks import Networks, num_maps
from anomaly.scoring import combine
from anomaly.training import HistoryRow, LearnWatch, learn
from anomaly.training.learn import NUM_GOLDEN, as_learnt
from tests.training.runs import CPU, digits

N = 60
SPLIT = split_normals(N, seed=0)
TINY: dict[str, dict[str, Any]] = {
    "preprocess": {"size": 8},
    "network": {"latent_dim": 2, "width": 4},
    "training": {"steps": 20, "batch_size": 8},
}
RECORD = DataRecord(
    source="digits",
    form="digits",
    normal=[],
    num_train=len(SPLIT.train),
    num_select=len(SPLIT.select),
    num_calibrate=len(SPLIT.calibrate),
    num_left_out=0,
    fingerprint="x",
    calibration_fingerprint="x",
)


class Greys:
    """The evidence of an image is its mean and its spread of grey; who was looked at is counted."""

    def __init__(self, networks: Networks, recipe: Recipe, device: torch.device) -> None:
        self.networks, self.recipe, self.device = networks, recipe, device
        self.observed: Counter[bytes] = Counter()
        self.explained: Counter[bytes] = Counter()

    def observe(self, pixels: PixelsOfImages) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float32]]:
        self.observed.update(image.tobytes() for image in pixels)
        flat = np.reshape(pixels, (len(pixels), -1)).astype(np.float64)
        return {"mean": flat.mean(axis=1), "spread": flat.std(axis=1)}, np.zeros((len(pixels), 2), np.float32)

    def explain(self, pixels: PixelsOfImages, z_hat: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.explained.update(image.tobytes() for image in pixels)
        return np.zeros(np.shape(pixels), np.float32), np.asarray(pixels, np.float32)


def recipe_of(**sections: dict[str, Any]) -> Recipe:
    return Recipe.model_validate({name: TINY.get(name, {}) | sections.get(name, {}) for name in {**TINY, **sections}})


def learnt(recipe: Recipe, *, watch: LearnWatch = LearnWatch()) -> tuple[Contents, Greys]:
    observers: list[Greys] = []

    def observer(networks: Networks, resolved: Recipe, device: torch.device) -> Greys:
        observers.append(Greys(networks, resolved, device))
        return observers[-1]

    contents = learn(digits(N), SPLIT, recipe, RECORD, observer=observer, device=CPU, watch=watch)
    (one,) = observers
    return contents, one


def counted(rows: Any) -> Counter[bytes]:
    return Counter(image.tobytes() for image in digits(N)[np.array(rows)])


def test_each_set_decides_its_own_and_is_recorded() -> None:
    """Law 5: select makes statistics, maps' scale and goldens; calibrate makes ranks; train is not looked at again."""
    contents, observer = learnt(recipe_of())
    goldens = SPLIT.select[:NUM_GOLDEN]
    assert observer.observed == counted(SPLIT.select) + counted(SPLIT.calibrate) + counted(goldens)
    assert observer.explained == counted(SPLIT.select)
    greys = digits(N).reshape(N, -1).astype(np.float64).mean(axis=1)
    assert contents.statistics.names == ("mean", "spread")
    assert contents.statistics.mean[0] == pytest.approx(greys[np.array(SPLIT.select)].mean())
    terms, _ = Greys(observer.networks, observer.recipe, CPU).observe(digits(N)[np.array(SPLIT.calibrate)])
    expected = Calibration.fit(combine(terms, contents.statistics, contents.manifest.recipe))
    assert_array_equal(expected.scores, contents.calibration.scores)
    assert_array_equal(digits(N)[np.array(goldens)], contents.golden.pixels)
    keys = image_keys(digits(N))
    for normal_set, rows in ((NormalSet.TRAIN, SPLIT.train), (NormalSet.SELECT, SPLIT.select)):
        assert set(contents.normals.keys[contents.normals.sets == normal_set]) == set(keys[np.array(rows)])


def test_however_many_normals_there_are_few_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    for name in ("observe", "explain"):
        whole = getattr(Greys, name)

        def look(own: Greys, pixels: PixelsOfImages, *z_hat: Any, whole: Any = whole) -> Any:
            held.append(len(pixels))
            return whole(own, pixels, *z_hat)

        monkeypatch.setattr(Greys, name, look)
    contents, _ = learnt(recipe_of())
    monkeypatch.setattr("anomaly.data.ragged.CHUNK", 4)
    held.clear()
    some, observer = learnt(recipe_of())
    assert max(held) == 4
    assert_array_equal(some.calibration.scores, contents.calibration.scores)
    assert_array_equal(some.statistics.inverse_covariance, contents.statistics.inverse_covariance)
    assert_array_equal(some.map_scale.layers, contents.map_scale.layers)
    assert observer.explained == counted(SPLIT.select)
    module = import_module("anomaly.training.learn")  # the package has a function of that name
    monkeypatch.setattr(module, "MOST_MAP_VALUES", 5 * num_maps(recipe_of().plan) * 8**2)
    _, observer = learnt(recipe_of())
    assert len(SPLIT.select) == 9
    assert observer.explained == counted(SPLIT.select[::2])


def test_the_contents_are_of_the_networks_that_were_trained() -> None:
    contents, observer = learnt(recipe_of())
    assert contents.manifest.data == RECORD
    assert contents.manifest.num_steps == contents.manifest.kept_step == len(contents.history) == 20
    assert contents.manifest.terms == ["mean", "spread"]
    weights = observer.networks.state_dict()
    assert contents.weights.keys() == weights.keys()
    for name, weight in weights.items():
        assert_array_equal(weight.numpy(), contents.weights[name])
    last = [row["loss_d"] for row in contents.history[-10:]]
    assert contents.manifest.metrics["loss_d"] == pytest.approx(np.mean(last))


def test_a_caller_sees_every_row_and_may_stop() -> None:
    rows: list[HistoryRow] = []
    calls: list[str] = []
    watch = LearnWatch(
        should_stop=lambda step, row: step == 10,
        on_rows=rows.extend,
        on_calibrating=lambda: calls.append("calibrating"),
    )
    contents, _ = learnt(recipe_of(), watch=watch)
    assert rows == contents.history
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert contents.manifest.num_steps == 10
    assert calls == ["calibrating"]


def test_what_goes_wrong_is_told_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anomaly.training.diagnostics.divergence", lambda first, recent, config: "change something")
    told: list[str] = []
    contents, _ = learnt(recipe_of(), watch=LearnWatch(on_warning=told.append))
    assert told == ["divergence at step 10: change something"]
    assert contents.manifest.warnings == told


@pytest.mark.parametrize(("asked", "kept"), [(5, 5), (1000, len(SPLIT.train))])
def test_a_memory_bank_has_as_many_images_as_are_asked_for_and_there(asked: int, kept: int) -> None:
    recipe = recipe_of(auxiliary={"synthetic_defects": True, "memory_bank": asked}, score={"combine": "mahalanobis"})
    contents, observer = learnt(recipe)
    assert contents.manifest.recipe.auxiliary.memory_bank == observer.networks.plan.memory_bank == kept
    assert contents.weights["auxiliaries.synthetic_defects.memory_bank.features"].shape[1] == kept


@pytest.mark.parametrize("is_fast", [False, True])
def test_what_was_left_open_is_in_the_recipe_as_it_was_learnt(is_fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anomaly.runtime.is_fast_at_bf16", lambda device: is_fast)
    recipe = as_learnt(recipe_of(training={"precision": "auto"}), 10, CPU)
    assert recipe.training.precision is (Precision.BF16 if is_fast else Precision.FP32)
    assert recipe.score.feature_layer == "conv1"
    chosen = as_learnt(recipe_of(score={"feature_layer": "joint"}), 10, CPU)
    assert chosen.score.feature_layer == "joint"
    assert as_learnt(recipe_of(training={"method": "autoencoder"}), 10, CPU).score.feature_layer is None


def test_the_same_recipe_learns_the_same() -> None:
    (first, _), (again, _) = learnt(recipe_of()), learnt(recipe_of())
    for name, weight in first.weights.items():
        assert_array_equal(weight, again.weights[name])
    assert_allclose(first.calibration.scores, again.calibration.scores, rtol=0)
