"""The laws of the design, each as something that can be broken.

Law 6 (no pickle, files verified) is shown in full in `tests/bundle` and `tests/inference/test_loading.py`, bundles of
an older schema in `tests/bundle/test_schema1.py`; laws 7 and 8 for whole folders of bad files in
`tests/cli/test_score.py`, and for the service in `tests/service`.
"""

import pickle
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from anomaly import torch_settings
from anomaly.bundle import Bundle, NormalSet, save
from anomaly.config import PreprocessConfig
from anomaly.data import decode, image_keys, preprocess, preprocess_batch, read, read_all, split_normals
from anomaly.data.preprocess import preprocess_seen
from anomaly.inference import Detector, load_detector
from anomaly.pipeline.calibrate import calibrate_bundle
from anomaly.pipeline.score import score_paths
from anomaly.pipeline.train import TrainOptions, train_bundle
from anomaly.recipes import Sections, merged
from tests.cli.calls import read_rows
from tests.digit_images import Pixels, digits, normals, others, write_images

TINY = {"training": {"steps": 10, "batch_size": 8}, "network": {"latent_dim": 2, "width": 4}}


def train(data: Path | str, out: Path, *, sections: Sections | None = None, **options: Any) -> Bundle:
    """By the recipe `digits`, tiny; `sections` are set on top."""
    overrides = merged(TINY, sections or {})
    options |= {"recipe": "digits", "overrides": overrides, "device": "cpu"}
    return train_bundle(TrainOptions(data=str(data), out=out, **options)).bundle


@pytest.fixture(scope="module", params=["bigan", "anogan", "patched", "bf16"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def detector(method: str, bigan_dir: Path, anogan_dir: Path, patched_dir: Path, bf16_dir: Path) -> Detector:
    folders = {"bigan": bigan_dir, "anogan": anogan_dir, "patched": patched_dir, "bf16": bf16_dir}
    return load_detector(folders[method], device="cpu")


@pytest.fixture(scope="module")
def tolerance(method: str) -> float:
    """What law 2 allows: 1e-5; a latent search 1e-3, the rounding of many steps; bf16, here, less than it states."""
    return {"anogan": 1e-3, "bf16": 2e-3}.get(method, 1e-5)


@pytest.fixture(scope="module")
def images() -> Pixels:
    """256 different images."""
    return digits("test")[:256]


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets torch have two threads, whatever this process may have, and gives it its number of threads back."""
    monkeypatch.setattr(torch_settings, "_most_threads", lambda: 2)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


# Law 1: higher is more anomalous; score, threshold and p-value are three fields.


def test_law_1_more_damage_is_a_higher_score_and_a_lower_p_value(detector: Detector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)
    normal, abnormal = detector.score(list(normals()[:30])), detector.score(list(noise))
    assert np.median(abnormal.score) > np.quantile(normal.score, 0.9)
    assert np.median(abnormal.p_value) < np.median(normal.p_value)


@settings(max_examples=30)
@given(alpha=st.floats(0.01, 0.99))
def test_law_1_the_three_fields_agree(bigan_dir: Path, alpha: float) -> None:
    detector = load_detector(bigan_dir, device="cpu")
    scores = detector.score([*normals()[:10], *others()[:10]], alpha=alpha)
    order = np.argsort(scores.score)
    assert (np.diff(scores.p_value[order]) <= 0).all()
    if scores.threshold is None:
        assert alpha < 1 / (detector.calibration.num_calibration + 1)
    else:
        assert scores.is_anomalous == (scores.score > scores.threshold).tolist() == (scores.p_value <= alpha).tolist()


# Law 2: a score depends on the image and the bundle only.


def test_law_2_company_does_not_matter(detector: Detector, images: Pixels, tolerance: float) -> None:
    together = detector.score(list(images)).score
    for at in (0, 100, 255):
        alone = detector.score(images[at]).score
        of_seven = detector.score(list(np.roll(images, 3 - at, axis=0)[:7])).score
        assert_allclose(alone, together[[at]], rtol=tolerance)
        assert_allclose(of_seven[3], together[at], rtol=tolerance)


def test_law_2_order_does_not_matter(detector: Detector, images: Pixels, tolerance: float) -> None:
    order = np.random.default_rng(0).permutation(len(images))
    in_order, moved = detector.score(list(images)), detector.score(list(images[order]))
    assert_allclose(moved.score, in_order.score[order], rtol=tolerance)


def test_law_2_the_call_before_does_not_matter(detector: Detector, images: Pixels) -> None:
    first = detector.score(list(images[:20]))
    detector.score(list(images[100:180]))
    again = detector.score(list(images[:20]))
    assert_array_equal(first.score, again.score)
    assert_array_equal(first.z_hat, again.z_hat)


def test_law_2_the_state_of_torchs_random_numbers_does_not_matter(detector: Detector, images: Pixels) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = detector.score(list(images[:9])).score
        torch.manual_seed(2)
        assert_array_equal(first, detector.score(list(images[:9])).score)


@pytest.mark.usefixtures("threads")
def test_law_2_threads_do_not_matter(detector: Detector, images: Pixels, tolerance: float) -> None:
    scores = []
    for num_threads in (1, 2):
        torch.set_num_threads(num_threads)
        scores.append(detector.score(list(images[:40])).score)
    assert_allclose(scores[0], scores[1], rtol=tolerance)


def test_law_2_the_way_in_does_not_matter(detector: Detector, images: Pixels, tolerance: float, tmp_path: Path) -> None:
    few = images[:12]
    expected = detector.score(list(few)).score
    assert_array_equal(expected, detector.score(torch.from_numpy(few)[:, None]).score)
    for suffix in (".png", ".bmp", ".tif"):
        paths = write_images(tmp_path, few, suffix)
        assert_array_equal(expected, detector.score(paths).score)
        assert_array_equal(expected, detector.score([decode(path, name=path.name) for path in paths]).score)
        out = tmp_path / f"{suffix}.csv"
        score_paths(detector.bundle.ref.path, [str(path) for path in paths], out, device="cpu")
        assert_allclose([float(row["score"]) for row in read_rows(out)], expected, rtol=tolerance)


def test_law_2_what_else_is_asked_for_does_not_matter(detector: Detector, images: Pixels) -> None:
    plain, explained = detector.score(list(images[:20])), detector.score(list(images[:20]))
    _ = explained.heatmap, explained.x_hat
    again = detector.score(list(images[:20]))
    for scores in (explained, again):
        assert_array_equal(plain.score, scores.score)
        assert_array_equal(plain.z_hat, scores.z_hat)


def test_law_2_heatmaps_and_reconstructions_are_of_their_image_alone(
    detector: Detector, images: Pixels, tolerance: float
) -> None:
    together = detector.score(list(images[:70]))
    alone = detector.score(images[66])
    assert alone.x_hat is not None
    assert together.x_hat is not None
    assert_allclose(alone.x_hat[0], together.x_hat[66], rtol=10 * tolerance, atol=10 * tolerance)
    assert_allclose(alone.heatmap[0], together.heatmap[66], rtol=10 * tolerance, atol=10 * tolerance)


def test_law_2_saving_and_loading_does_not_matter(detector: Detector, images: Pixels, tmp_path: Path) -> None:
    moved = load_detector(save(detector.bundle.contents, tmp_path / "copy").ref.path, device="cpu")
    assert_array_equal(detector.score(list(images[:20])).score, moved.score(list(images[:20])).score)


# Law 3: one preprocessing.


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    """40 images that need all of the preprocessing: colour, not square, larger than the model."""
    rng = np.random.default_rng(0)
    return write_images(tmp_path / "photographs", rng.integers(0, 256, (40, 21, 13, 3), np.uint8))


def test_law_3_training_and_scoring_see_the_pixels_that_preprocess_gives(
    photographs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = train(photographs[0].parent, tmp_path / "m", sections={"preprocess": {"size": 8, "channels": 1}})
    config = bundle.manifest.recipe.preprocess
    assert config == PreprocessConfig(size=8, channels=1)
    expected = np.stack([preprocess(decode(p, name=p.name), config) for p in photographs])
    assert_array_equal(np.sort(image_keys(expected)), bundle.contents.normals.keys)

    scored: list[Pixels] = []
    evidence = Detector.evidence

    def spy(self: Detector, pixels: Pixels) -> object:
        scored.append(pixels.copy())
        return evidence(self, pixels)

    monkeypatch.setattr(Detector, "evidence", spy)
    load_detector(bundle.ref.path, device="cpu").score(photographs)
    score_paths(bundle.ref.path, [str(path) for path in photographs], tmp_path / "r.csv", device="cpu")
    by_python, by_command = scored
    assert_array_equal(expected, by_python)
    assert_array_equal(expected, by_command)


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("anomaly.data.reader", preprocess_seen),
        ("anomaly.data.reader", preprocess_batch),
        ("anomaly.data.store", read_all),
        ("anomaly.pipeline.score", read_all),
        ("anomaly.inference.images", read_all),
        ("anomaly.inference.images", read),
        ("anomaly.inference.images", preprocess_batch),
        ("service.engine.uploads", read),
    ],
)
def test_law_3_all_ways_in_call_the_one_function(module: str, function: Callable[..., object]) -> None:
    """`preprocess` calls `preprocess_seen`; `preprocess_batch` gives the same pixels."""
    assert getattr(import_module(module), function.__name__) is function


# Law 4: raw scores are never clamped or rescaled by the data being scored.


def test_law_4_extremes_keep_their_distance_and_change_no_other(detector: Detector, tolerance: float) -> None:
    steps = [np.where(normals()[0] > 128, 255, level).astype(np.uint8) for level in (90, 170, 250)]
    image = normals()[1]
    scores = detector.score([image, *steps])
    assert len(set(scores.score)) == 4
    assert scores.score.max() > detector.calibration.scores.max()
    assert_allclose(scores.score[0], detector.score([image, image, image]).score[0], rtol=tolerance)


# Law 5: normal images decide, in three disjoint sets.


@pytest.fixture
def zeros(tmp_path: Path) -> Path:
    """A folder of 60 different images, named in the order in which they are split."""
    write_images(tmp_path / "zeros", digits("train", "0")[:60])
    return tmp_path / "zeros"


def replace_images(folder: Path, rows: list[int]) -> None:
    """Put quite other pictures in the place of these."""
    for row, image in zip(rows, others(), strict=False):
        write_images(folder / "new", [image])[0].replace(folder / f"{row:04d}.png")
    (folder / "new").rmdir()


def test_law_5_calibration_images_decide_nothing_but_ranks(zeros: Path, tmp_path: Path) -> None:
    before = train(zeros, tmp_path / "before").contents
    replace_images(zeros, split_normals(60, seed=0).calibrate)
    after = train(zeros, tmp_path / "after").contents
    for name, weight in before.weights.items():
        assert_array_equal(weight, after.weights[name])
    assert_array_equal(before.statistics.mean, after.statistics.mean)
    assert_array_equal(before.statistics.inverse_covariance, after.statistics.inverse_covariance)
    assert_array_equal(before.map_scale.layers, after.map_scale.layers)
    assert_array_equal(before.golden.scores, after.golden.scores)
    assert before.history == after.history
    assert (before.calibration.scores < after.calibration.scores).all()


def test_law_5_select_images_move_no_weights(zeros: Path, tmp_path: Path) -> None:
    before = train(zeros, tmp_path / "before").contents
    replace_images(zeros, split_normals(60, seed=0).select)
    after = train(zeros, tmp_path / "after").contents
    for name, weight in before.weights.items():
        assert_array_equal(weight, after.weights[name])
    assert (before.statistics.mean != after.statistics.mean).any()


def test_law_5_calibration_scores_are_those_of_the_calibrate_images(zeros: Path, tmp_path: Path) -> None:
    bundle = train(zeros, tmp_path / "m")
    images = digits("train", "0")[split_normals(60, seed=0).calibrate]
    scores = load_detector(bundle.ref.path, device="cpu").score(list(images)).score
    assert_allclose(bundle.contents.calibration.scores, np.sort(scores), rtol=1e-5)


def test_law_5_training_opens_no_test_image_and_no_anomaly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "tree"
    good = write_images(root / "train" / "good", digits("train", "0")[:30])
    for place in ("train/bad", "test/good", "test/bad", "ground_truth/bad"):
        write_images(root / place, others()[:4])
    opened: list[str] = []
    decoding = import_module("anomaly.data.decoding.limits")
    reading = decoding._read

    def spy(path: Path, *rest: object) -> bytes:
        opened.append(str(path))
        data: bytes = reading(path, *rest)
        return data

    monkeypatch.setattr(decoding, "_read", spy)
    train(root, tmp_path / "m")
    assert set(opened) == {str(path) for path in good}


def test_law_5_the_bundle_knows_the_set_of_every_normal(zeros: Path, tmp_path: Path) -> None:
    """Three disjoint sets, which are those of the split; none is unknown."""
    normals = train(zeros, tmp_path / "m").contents.normals
    keys, split = image_keys(digits("train", "0")[:60, None]), split_normals(60, seed=0)
    sets = {NormalSet.TRAIN: split.train, NormalSet.SELECT: split.select, NormalSet.CALIBRATE: split.calibrate}
    for normal_set, rows in sets.items():
        assert_array_equal(np.sort(keys[rows]), normals.keys[normals.sets == normal_set])
    assert len(np.unique(normals.keys)) == len(normals.keys) == 60
    assert np.isin(normals.sets, list(sets)).all()


def test_law_5_a_later_calibration_keeps_the_sets_and_uses_new_images_alone(zeros: Path, tmp_path: Path) -> None:
    before = train(zeros, tmp_path / "m").contents
    new = digits("train", "0")[60:80]
    write_images(tmp_path / "more", [*digits("train", "0")[:60], *new])
    after = calibrate_bundle(tmp_path / "m", str(tmp_path / "more"), device="cpu").bundle.contents
    old = np.isin(after.normals.keys, before.normals.keys)
    assert_array_equal(before.normals.keys, after.normals.keys[old])
    assert_array_equal(before.normals.sets, after.normals.sets[old])
    assert_array_equal(np.sort(image_keys(new[:, None])), after.normals.keys[~old])
    assert (after.normals.sets[~old] == NormalSet.CALIBRATE).all()
    scores = load_detector(tmp_path / "m" / "1", device="cpu").score(list(new)).score
    assert_allclose(after.calibration.scores, np.sort(scores), rtol=1e-5)


# Law 6: no pickle.


def test_law_6_nothing_is_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a pickle was read or written")

    for module, names in ((pickle, ("load", "loads", "dump", "dumps", "Unpickler")), (torch, ("load", "save"))):
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    sections: Sections = {"training": {"method": "anogan"}, "search": {"steps": 2, "restarts": 1}}
    for resume in (False, True):
        train("digits", tmp_path / "m", sections=sections, normal=("0",), resume=resume)
    load_detector(tmp_path / "m", device="cpu").score(normals()[0])


# Laws 7 and 8: every image gets an answer, and a failing one harms no other.


@settings(max_examples=15)
@given(kinds=st.lists(st.sampled_from(["good", "missing", "text", "float"]), max_size=12))
def test_laws_7_and_8_every_image_gets_an_answer_of_its_own(
    bigan_dir: Path, tmp_path_factory: pytest.TempPathFactory, kinds: list[str]
) -> None:
    text = tmp_path_factory.mktemp("text") / "text.png"
    text.write_text("no image")
    detector = load_detector(bigan_dir, device="cpu")
    inputs: dict[str, Any] = {"good": normals()[0], "missing": "missing.png", "text": text, "float": np.zeros((8, 8))}
    scores = detector.score([inputs[kind] for kind in kinds])
    assert len(scores.score) == len(scores.errors) == len(kinds)
    assert [kind == "good" for kind in kinds] == [error is None for error in scores.errors]
    good = scores.score[[kind == "good" for kind in kinds]]
    assert_allclose(good, detector.score(normals()[0]).score.repeat(len(good)), rtol=1e-5)


@pytest.mark.parametrize("num_images", [1, 63, 64, 65, 129, 257])
def test_law_7_the_last_partial_batch_too(bigan_dir: Path, num_images: int) -> None:
    image = normals()[0]
    scores = load_detector(bigan_dir, device="cpu").score([image] * num_images)
    assert scores.score.shape == (num_images,)
    assert_allclose(scores.score, scores.score[0], rtol=1e-5)
