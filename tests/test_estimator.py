"""The scikit-learn estimator: its signs, its inputs, its bundles, and scikit-learn's own tools around it."""

import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import Base
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from anomaly.errors import AnomalyError, ImageError, InputError, UsageError
from anomaly.estimator import GanDetector
from anomaly.inference import load_detector
from tests.cli.calls import done, read_rows
from tests.digit_images import Pixels, digits, normals, others, write_images
from tests.test_structure import HEAVY, imported_by

TINY = (
    "preprocess.size=8",
    "network.width=4",
    "network.latent_dim=2",
    "training.batch_size=8",
)
STEPS = "training.steps=30"


def tiny(*overrides: str, **parameters: Any) -> GanDetector:
    return GanDetector("digits", overrides=(*TINY, *overrides), device="cpu", **parameters)


@pytest.fixture(scope="module")
def fitted() -> GanDetector:
    """Zeros of the training split are normal."""
    return tiny(STEPS, random_state=0).fit(digits("train", "0"))


class OfTables(GanDetector):
    """Draws each row of a table as an image of one line, so that scikit-learn's checks have something to check."""

    def fit(self, X: Any, y: object = None) -> "OfTables":
        super().fit(drawn(X), y)
        return self

    def _scores(self, X: Any) -> Any:
        return super()._scores(drawn(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = True, False
        return tags


def drawn(X: Any) -> Any:
    if hasattr(X, "tocsr"):
        return X
    X = np.asarray(X)
    if X.ndim != 2 or X.dtype.kind not in "fiub" or not np.isfinite(X).all():
        return X
    return (127.5 + 127.5 * np.sin(X)).astype(np.uint8)[:, None, :]


FEW = "fewer than 20 distinct images: there would be none to calibrate with"
EXCLUDED = {
    "check_n_features_in_after_fitting": FEW,
    "check_classifier_data_not_an_array": FEW,
    "check_fit2d_1sample": FEW,
    "check_fit2d_1feature": FEW,
    "check_n_features_in": "images have heights and widths, no number of features",
    "check_outliers_train": "images of another size than those of fit are no mistake: they are scaled",
    "check_dtype_object": "numbers in an array of objects are no images; an array of objects may hold paths",
    "check_estimators_nan_inf": "uint8 has neither, and floats are refused by their name",
    "check_estimators_empty_data_messages": "its second half expects the word for features in the message",
    "check_fit2d_predict1d": "expects the advice to reshape; the message says which shapes images have",
    "check_methods_subset_invariance": "to 1e-7; networks round differently in other batches, which law 2 has at 1e-5",
}


def test_the_documents_name_what_is_excluded() -> None:
    page = (Path(__file__).parents[1] / "docs" / "estimator.md").read_text("utf-8")
    assert [name for name in EXCLUDED if f"`{name}`" not in page] == []


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [OfTables("digits", overrides=(*TINY, "training.steps=1"), alpha=0.3, device="cpu")],
    expected_failed_checks=lambda estimator: EXCLUDED,
)
def test_scikit_learn_finds_what_it_expects(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of trainings of one step
        check(estimator)


def test_signs_are_scikit_learns(fitted: GanDetector) -> None:
    X = np.concatenate([normals(), others()[:100]])
    scores = fitted.detector_.score(list(X))
    np.testing.assert_array_equal(fitted.score_samples(X), -scores.score)
    np.testing.assert_array_equal(fitted.decision_function(X) < 0, np.array(scores.is_anomalous))
    np.testing.assert_array_equal(fitted.predict(X), [-1 if verdict else 1 for verdict in scores.is_anomalous])
    np.testing.assert_array_equal(fitted.p_values(X), scores.p_value)
    assert scores.threshold is not None
    np.testing.assert_allclose(fitted.decision_function(X), fitted.score_samples(X) + scores.threshold, rtol=1e-12)
    assert fitted.score_samples(normals()).mean() > fitted.score_samples(others()).mean()


def test_an_image_at_the_threshold_is_normal(fitted: GanDetector) -> None:
    """As `anomaly score` has it: anomalous is what lies above."""
    calibration = fitted.detector_.calibration
    threshold = calibration.threshold(fitted.alpha)
    assert threshold in calibration.scores
    assert threshold is not None
    assert not calibration.judge(threshold, fitted.alpha).is_anomalous


def test_alpha_may_change_after_fit(fitted: GanDetector) -> None:
    strict, lenient = (clone_fitted(fitted).set_params(alpha=alpha) for alpha in (0.03, 0.5))
    assert (strict.predict(normals()) == -1).sum() < (lenient.predict(normals()) == -1).sum()
    with pytest.raises(InputError, match="no threshold: alpha"):
        clone_fitted(fitted).set_params(alpha=0.001).predict(normals())


def clone_fitted(estimator: GanDetector) -> GanDetector:
    copy: GanDetector = pickle.loads(pickle.dumps(estimator))  # noqa: S301
    return copy


def test_a_copy_for_another_process_scores_the_same(fitted: GanDetector) -> None:
    copy = clone_fitted(fitted)
    np.testing.assert_array_equal(copy.score_samples(others()), fitted.score_samples(others()))


def test_the_command_line_gives_the_same_scores(fitted: GanDetector, tmp_path: Path) -> None:
    version = fitted.save(tmp_path / "models" / "zeros")
    assert version == tmp_path / "models" / "zeros" / "1"
    paths = write_images(tmp_path / "images", [*normals()[:10], *others()[:10]])
    done("score", tmp_path / "models" / "zeros", tmp_path / "images", "--out", tmp_path / "r.csv", "--device", "cpu")
    rows = read_rows(tmp_path / "r.csv")
    from_rows = np.array([-float(row["score"]) for row in rows])
    loaded = GanDetector.load(tmp_path / "models" / "zeros", device="cpu")
    for estimator in (fitted, loaded):
        for X in (list(map(str, paths)), paths, np.array(list(map(str, paths))), tmp_path / "images"):
            np.testing.assert_array_equal(estimator.score_samples(X), from_rows)
        np.testing.assert_array_equal(estimator.p_values(paths), [float(row["p_value"]) for row in rows])
        np.testing.assert_array_equal(estimator.predict(paths) == -1, [row["is_anomalous"] == "true" for row in rows])
    assert fitted.save(tmp_path / "models" / "zeros").name == "2"


def test_training_is_that_of_the_command_line(tmp_path: Path) -> None:
    write_images(tmp_path / "d", digits("train", "0"))
    overrides = (*TINY, "training.steps=10")
    sets = [word for field in overrides for word in ("--set", field)]
    done(
        "train", tmp_path / "d", "--out", tmp_path / "m", "--recipe", "digits", "--seed", "3", "--device", "cpu", *sets
    )
    expected = load_detector(tmp_path / "m", device="cpu").score(list(others())).score
    for X in (str(tmp_path / "d"), sorted((tmp_path / "d").iterdir()), digits("train", "0")):
        estimator = tiny("training.steps=10", random_state=3).fit(X)
        np.testing.assert_array_equal(-estimator.score_samples(others()), expected)


@pytest.mark.filterwarnings("ignore:there are .* normal images to train on")
def test_colour_and_several_sizes() -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (24, 9, 8, 3), np.uint8)
    estimator = tiny("training.steps=1", alpha=0.3).fit(colour)
    assert estimator.detector_.preprocess.channels == 3
    opaque = np.concatenate([colour, np.full((24, 9, 8, 1), 255, np.uint8)], axis=3)
    np.testing.assert_allclose(estimator.score_samples(opaque), estimator.score_samples(colour), rtol=1e-5)
    sizes = [rng.integers(0, 256, (5 + n, 12, 3), np.uint8) for n in range(5)]
    with pytest.warns(UserWarning, match="the picture is 12 × 5 pixels, which is another shape"):
        assert estimator.score_samples(sizes).shape == (5,)
    grey = tiny("training.steps=1", alpha=0.3).fit([image[:, :, :1] for image in colour])
    assert grey.detector_.preprocess.channels == 1


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 8, 8)), r"X is of float64; expected uint8: .*\(X \* 255\)\.round\(\)\.astype\('uint8'\)"),
        (np.zeros((3, 8), np.uint8), r"X has the shape \(3, 8\); expected \(n, h, w\)"),
        (np.zeros((3, 3, 8, 8), np.uint8), r"X has the shape \(3, 3, 8, 8\); .* c = 1, 3 or 4"),
        (np.zeros((3, 8, 8), np.uint16), "X is of uint16; expected uint8: .*; of 16 bits give the files' paths"),
        (np.array([["a.png", "x"]], object), "of a table give the column of paths"),
        (np.zeros((0, 8, 8), np.uint8), "X has no images"),
        ([], "X has no images"),
        ([np.zeros((8, 8), np.float32)], "image 0 of X is of float32"),
        ([3], "image 0 of X is of int"),
        (Image.new("L", (8, 8)), r"X is one PIL image; expected a list of them: give \[image\]"),
        (
            [Image.new("I;16", (8, 8))],
            "image 0 of X is a PIL image of mode I;16; expected 8 bits: give the file's path",
        ),
    ],
)
def test_what_is_no_image_is_refused_by_its_name(fitted: GanDetector, X: Any, message: str) -> None:
    for method in (fitted.predict, tiny().fit):
        with pytest.raises(InputError, match=message):
            method(X)
        with pytest.raises(ValueError, match=message):
            method(X)


def in_memory(paths: list[Path]) -> list[Image.Image]:
    """As PIL opens them: none is loaded yet."""
    return [Image.open(io.BytesIO(path.read_bytes())) for path in paths]


@pytest.mark.filterwarnings("ignore:there are .* normal images to train on")
def test_pil_images_are_what_their_files_are(tmp_path: Path) -> None:
    """A turned photograph and a transparent one among them: as `Detector.score` sees them, in training too."""
    paths = write_images(tmp_path, normals()[:20])
    turned = Image.Exif()
    turned[Base.Orientation] = 6
    Image.open(paths[0]).save(paths[0], exif=turned)
    Image.open(paths[1]).convert("LA").save(paths[1])
    from_files = tiny("training.steps=2", alpha=0.3).fit(paths)
    from_images = tiny("training.steps=2", alpha=0.3).fit(in_memory(paths))
    record, of_files = (each.detector_.bundle.manifest.data for each in (from_images, from_files))
    assert record.fingerprint == of_files.fingerprint
    assert (record.form, of_files.form) == ("arrays", "folder")
    scores = from_images.score_samples(in_memory(paths))
    np.testing.assert_array_equal(scores, from_files.score_samples(paths))


def test_a_pil_image_that_cannot_be_loaded_is_named(fitted: GanDetector, tmp_path: Path) -> None:
    paths = write_images(tmp_path, normals()[:20])
    paths[4].write_bytes(paths[4].read_bytes()[:-40])
    for method in (fitted.predict, tiny().fit):
        with pytest.raises(ImageError, match="image 4: "):
            method(in_memory(paths))


def test_a_file_that_cannot_be_read_is_named(fitted: GanDetector, tmp_path: Path) -> None:
    paths = write_images(tmp_path, normals()[:3])
    paths[1].write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"1 of 3 images cannot be scored; the first: .*0001\.png"):
        fitted.predict(paths)
    assert [error is None for error in fitted.detector_.score(paths).errors] == [True, False, True]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_minutes": -1}, "^max_minutes, .* 0 or more; got -1$"),
        ({"max_minutes": "5"}, "^max_minutes, .* 0 or more; got '5'$"),
        ({"max_minutes": float("nan")}, "^max_minutes, .* 0 or more; got nan$"),
        ({"overrides": "training.steps=2"}, "^overrides is 'training.steps=2'; expected a list or tuple of texts"),
        ({"overrides": None}, "^overrides is None; expected a list or tuple of texts"),
        ({"overrides": {"training.steps": 2}}, "^overrides is .*; expected a list or tuple of texts"),
        ({"overrides": [("training.steps", 2)]}, "^overrides is .*; expected a list or tuple of texts"),
        ({"recipe": None}, "^recipe is None; expected the name of a recipe or a file that ends in .toml"),
        ({"random_state": "x"}, "^random_state is 'x'; expected a number, a numpy.random.RandomState, or None$"),
        ({"random_state": np.random.default_rng(0)}, "^random_state is Generator.*; expected a number"),
        ({"random_state": 0, "overrides": ("training.seed=4",)}, "^training.seed is set twice, by overrides and by"),
    ],
)
def test_parameters_of_another_kind_are_refused_in_words_of_python(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tiny().set_params(**changes).fit(normals())


def test_a_folder_without_images_is_said(fitted: GanDetector, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder that holds no images"):
        fitted.predict(tmp_path)


def test_an_alpha_that_is_no_number_is_refused(fitted: GanDetector) -> None:
    wrong = clone(fitted).set_params(alpha="x")
    wrong.detector_ = fitted.detector_
    with pytest.raises(AnomalyError, match=r"alpha is the false-alarm rate .* got 'x'"):
        wrong.predict(others()[:2])


def test_an_alpha_that_is_no_rate_is_refused_before_it_trains() -> None:
    wrong = tiny(alpha=7)
    with pytest.raises(AnomalyError, match=r"alpha is the false-alarm rate .* got 7"):
        wrong.fit(normals())
    assert not hasattr(wrong, "detector_")


@pytest.mark.filterwarnings("ignore:there are .* normal images to train on")
def test_before_fit_there_is_nothing(tmp_path: Path) -> None:
    for method in (tiny().predict, tiny().p_values):
        with pytest.raises(NotFittedError):
            method(normals())
    with pytest.raises(NotFittedError):
        tiny().save(tmp_path / "m")
    with pytest.raises(AnomalyError, match="there is no recipe 'digitz'"):
        GanDetector("digitz").fit(normals())


def test_seeds() -> None:
    def score(seed: Any) -> NDArray[np.float64]:
        estimator = tiny("training.steps=5", random_state=seed).fit(digits("train", "0"))
        return np.asarray(estimator.score_samples(others()[:5]))

    np.testing.assert_array_equal(score(None), score(None))
    assert (score(1) != score(2)).any()
    np.testing.assert_array_equal(score(np.random.RandomState(7)), score(np.random.RandomState(7)))


def test_warnings_of_a_training_are_warnings() -> None:
    with pytest.warns(UserWarning, match="no image can be called anomalous at the default false-alarm rate"):
        tiny("training.steps=1").fit(normals())


def cropped(X: Pixels) -> Pixels:
    return X[:, :, 1:-1]


def test_in_a_pipeline() -> None:
    line = make_pipeline(FunctionTransformer(cropped), tiny("training.steps=20"))
    line = clone(line).set_params(gandetector__random_state=5).fit(digits("train", "0"))
    alone = tiny("training.steps=20", random_state=5).fit(cropped(digits("train", "0")))
    np.testing.assert_array_equal(line.predict(others()), alone.predict(cropped(others())))
    np.testing.assert_array_equal(line.score_samples(others()), alone.score_samples(cropped(others())))


@pytest.mark.filterwarnings("ignore:there are .* normal images to train on")
def test_in_a_cross_validation(tmp_path: Path) -> None:
    """Folds learn from normals, and are judged on others and on anomalous images."""
    good, bad = digits("train", "0"), others()[:40]
    X = list(map(str, write_images(tmp_path, np.concatenate([good, bad]))))
    y = np.repeat([1, -1], [len(good), len(bad)])
    halves = np.array_split(np.arange(len(good)), 2)
    anomalous = np.arange(len(good), len(y))
    folds = [(halves[1 - k], np.concatenate([halves[k], anomalous])) for k in (0, 1)]
    found = cross_val_score(tiny(STEPS, alpha=0.1), X, y, cv=folds, scoring="roc_auc", error_score="raise")
    assert found.min() > 0.5  # with the other sign it would be below


def test_to_score_with_it_imports_no_torch(bigan_dir: Path) -> None:
    program = f"""
import numpy as np
from anomaly.estimator import GanDetector
GanDetector.load({str(bigan_dir)!r}).predict(np.zeros((3, 8, 8), np.uint8))
"""
    assert imported_by(program, HEAVY) == set()
