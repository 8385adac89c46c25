"""`--groups` from pictures to verdict: parts stay together, one picture of each counts, and all are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from anomaly.bundle import Bundle, NormalRecord, NormalSet, save
from anomaly.data import image_keys, part_keys
from anomaly.errors import CheckpointError, DataError
from anomaly.inference import load_detector
from anomaly.pipeline.calibrate import calibrate_bundle
from anomaly.pipeline.evaluate import evaluate_bundle
from anomaly.pipeline.train import TrainOptions, TrainSummary, TrainWatch, train_bundle
from anomaly.report import report
from tests.digit_images import Pixels, digits, normals, others, write_images

PATTERN = r"^part(\d+)_"
NUM_PARTS, NUM_NEW = 24, 8


def write_parts(folder: Path, images: Pixels, num_parts: int, first: int = 0) -> list[str]:
    """Image i shows part i modulo `num_parts`; the parts of the images, in order of their files' names."""
    for path in write_images(folder, images):
        path.rename(path.with_name(f"part{first + int(path.stem) % num_parts}_{path.name}"))
    return [path.name.split("_")[0].removeprefix("part") for path in sorted(folder.iterdir())]


def seen() -> Pixels:
    return digits("train", "0")[:72]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TrainSummary:
    root = tmp_path_factory.mktemp("groups")
    write_parts(root / "d", seen(), NUM_PARTS)
    return train_bundle(options(root / "d", root / "m"))


def options(data: Path, out: Path) -> TrainOptions:
    overrides = {"network": {"latent_dim": 2, "width": 4}, "training": {"steps": 20, "batch_size": 8}}
    return TrainOptions(str(data), out, "digits", overrides, groups=PATTERN, device="cpu")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "roc_png", lambda *_: bytes(33))
    monkeypatch.setattr(report, "render_page", lambda *_: "")


def sets_of(bundle: Bundle) -> dict[int, int]:
    normals = bundle.contents.normals
    return dict(zip(normals.keys.tolist(), normals.sets.tolist(), strict=True))


def test_law_5_each_part_is_in_one_set_and_one_picture_of_it_calibrates(made: TrainSummary) -> None:
    keys, sets = image_keys(seen()[:, None]), sets_of(made.bundle)
    assert set(sets) == set(keys.tolist())
    by_part = [sorted(sets[int(key)] for key in keys[part::NUM_PARTS]) for part in range(NUM_PARTS)]
    together = [
        [NormalSet.TRAIN] * 3,
        [NormalSet.SELECT] * 3,
        [NormalSet.CALIBRATE, NormalSet.UNUSED, NormalSet.UNUSED],
    ]
    assert all(own in together for own in by_part)
    data = made.bundle.manifest.data
    assert (data.num_train_parts, data.num_select_parts, data.num_calibrate, data.num_unused) == (15, 3, 6, 12)
    assert (data.num_train, data.num_select, data.num_report, data.num_copies) == (45, 9, 0, 0)
    assert data.groups == data.calibration_groups == PATTERN
    unused = [key for key, own in sets.items() if own == NormalSet.UNUSED]
    assert made.bundle.contents.normals.knows(np.array(unused, np.uint64)).all()


def test_ranks_are_those_of_one_picture_a_part(made: TrainSummary) -> None:
    keys, sets = image_keys(seen()[:, None]), sets_of(made.bundle)
    chosen = [image for image, key in zip(seen(), keys, strict=True) if sets[int(key)] == NormalSet.CALIBRATE]
    scores = load_detector(made.bundle.ref.path, device="cpu").score(chosen).score
    assert_allclose(made.bundle.contents.calibration.scores, np.sort(scores), rtol=1e-5)


def test_the_card_and_the_closing_sentences_say_it(made: TrainSummary) -> None:
    _, images, parts, unused = made.sentences()
    assert images == "normal images: 45 to train, 9 to select, 6 to calibrate"
    assert parts.startswith(f"parts, by --groups {PATTERN}: 15 to train, 3 to select, 6 to calibrate; ")
    assert unused.startswith("12 images are used for nothing")
    assert f"| parts | 15 train, 3 select, each in one set by --groups `{PATTERN}` |" in made.bundle.card
    assert "| parts that calibrate | 6, one picture each, by" in made.bundle.card
    assert "| other pictures of such parts | 12, used for nothing |" in made.bundle.card


def test_few_parts_are_warned_of_and_too_few_refused(tmp_path: Path) -> None:
    write_parts(tmp_path / "d", seen(), 10)
    told: list[str] = []
    bundle = train_bundle(options(tmp_path / "d", tmp_path / "m"), TrainWatch(on_warning=told.append)).bundle
    assert any(warning.startswith("there are 10 parts; expected at least 20") for warning in told)
    assert told[0].startswith("there are 10 parts to train on, and 2 of them will calibrate")
    assert set(told[1:]) <= set(bundle.manifest.warnings)
    write_parts(tmp_path / "e", seen(), 3)
    with pytest.raises(DataError, match="there are 3 parts to train on; expected at least 4"):
        train_bundle(options(tmp_path / "e", tmp_path / "m"))


def test_a_run_of_other_parts_is_not_resumed(tmp_path: Path) -> None:
    """What trained would calibrate."""
    write_parts(tmp_path / "d", seen(), NUM_PARTS)
    train_bundle(replace(options(tmp_path / "d", tmp_path / "m"), max_minutes=0.0))
    with pytest.raises(CheckpointError):
        train_bundle(replace(options(tmp_path / "d", tmp_path / "m"), groups="", resume=True))


def test_a_calibration_takes_one_picture_of_each_new_part(made: TrainSummary, tmp_path: Path) -> None:
    """Parts of which a picture made the model are left out whole, with their pictures that are new."""
    write_parts(tmp_path / "d", normals()[:24], NUM_NEW, first=100)
    write_parts(tmp_path / "old", np.concatenate([seen()[:2], normals()[24:28]]), 2)
    for path in (tmp_path / "old").iterdir():
        path.rename(tmp_path / "d" / path.name)
    summary = calibrate_bundle(made.bundle.ref.path, str(tmp_path / "d"), groups=PATTERN, device="cpu")
    keys = image_keys(normals()[:28, None])
    sets = sets_of(summary.bundle)
    chosen = [min(keys[part:24:NUM_NEW].tolist()) for part in range(NUM_NEW)]
    assert {key for key in keys.tolist() if sets[key] == NormalSet.CALIBRATE} == set(chosen)
    assert {sets[key] for key in keys.tolist()} == {NormalSet.CALIBRATE, NormalSet.UNUSED}
    assert (summary.num_seen, summary.num_copies, summary.num_unused) == (2, 0, 20)
    data = summary.bundle.manifest.data
    assert (data.num_calibrate, data.num_unused, data.calibration_groups) == (NUM_NEW, 32, PATTERN)
    assert summary.bundle.contents.calibration.num_calibration == NUM_NEW
    assert summary.remarks == ()


def test_a_calibration_without_parts_says_what_was_forgotten(made: TrainSummary, tmp_path: Path) -> None:
    write_images(tmp_path / "d", normals()[:20])
    summary = calibrate_bundle(made.bundle.ref.path, str(tmp_path / "d"), device="cpu")
    assert "give --groups too" in summary.remarks[-1]
    data = summary.bundle.manifest.data
    assert (data.num_calibrate, data.groups, data.calibration_groups) == (20, PATTERN, "")
    assert "parts that calibrate" not in summary.bundle.card
    write_parts(tmp_path / "old", seen()[:20], 10)
    with pytest.raises(DataError, match="or others of their parts"):
        calibrate_bundle(made.bundle.ref.path, str(tmp_path / "old"), groups=PATTERN, device="cpu")


def test_an_evaluation_counts_one_test_picture_of_each_new_part(made: TrainSummary, tmp_path: Path) -> None:
    """Of 8 new parts and one that trained, which its picture tells, 8 count: those of the smallest keys."""
    write_parts(
        tmp_path / "d" / "test" / "good", np.concatenate([normals()[:24], normals()[24:26]]), NUM_NEW + 1, first=100
    )
    write_parts(tmp_path / "d" / "train" / "good", seen()[:1], 1, first=100)
    write_images(tmp_path / "d" / "test" / "bad", others()[:5])
    threshold = made.bundle.contents.calibration.threshold(0.2)
    assert threshold is not None
    model, data = made.bundle.ref.path, str(tmp_path / "d")
    metrics = evaluate_bundle(model, data, tmp_path / "r", groups=PATTERN, alpha=0.2, device="cpu").metrics
    assert metrics["num_parts"] == NUM_NEW
    keys = image_keys(normals()[:26, None])
    chosen = [min(range(part, 26, NUM_NEW + 1), key=lambda row: int(keys[row])) for part in range(1, NUM_NEW + 1)]
    scores = load_detector(model, device="cpu").score(list(normals()[chosen])).score
    assert metrics["fpr_of_parts"] == pytest.approx(float((scores > threshold).mean()))
    assert metrics["num_normal"] == 26
    without = evaluate_bundle(model, data, tmp_path / "r", alpha=0.2, device="cpu")
    assert (without.metrics["num_parts"], without.metrics["fpr_of_parts"]) == (None, None)
    assert "give --groups too" in without.remarks[-1]


def test_parts_that_made_the_model_are_known_by_their_names(made: TrainSummary, tmp_path: Path) -> None:
    """Further pictures of them are not those of new parts, though no picture that trained is in DATA."""
    further = write_parts(tmp_path / "further", normals()[:12], 12)
    with pytest.raises(DataError, match="or others of their parts"):
        calibrate_bundle(made.bundle.ref.path, str(tmp_path / "further"), groups=PATTERN, device="cpu")
    write_parts(tmp_path / "d" / "test" / "good", normals()[:24], 12, first=18)
    write_images(tmp_path / "d" / "test" / "bad", others()[:5])
    model, data = made.bundle.ref.path, str(tmp_path / "d")
    evaluated = evaluate_bundle(model, data, tmp_path / "r", groups=PATTERN, alpha=0.2, device="cpu")
    assert evaluated.metrics["num_parts"] == 6
    assert evaluated.remarks == ()
    names = [str(part) for part in range(NUM_PARTS)]
    assert set(further) < set(names)
    assert set(made.bundle.contents.normals.parts.tolist()) == set(part_keys(names, PATTERN).tolist())


def test_a_calibration_adds_the_parts_that_it_has_seen(made: TrainSummary, tmp_path: Path) -> None:
    write_parts(tmp_path / "d", normals()[:24], NUM_NEW, first=100)
    renewed = calibrate_bundle(made.bundle.ref.path, str(tmp_path / "d"), groups=PATTERN, device="cpu").bundle
    write_parts(tmp_path / "e", normals()[24:36], 4, first=100)
    with pytest.raises(DataError, match="or others of their parts"):
        calibrate_bundle(renewed.ref.path, str(tmp_path / "e"), groups=PATTERN, device="cpu")


def test_names_by_another_expression_are_not_compared_and_that_is_said(made: TrainSummary, tmp_path: Path) -> None:
    write_parts(tmp_path / "d", normals()[:8], 8)
    other = r"part(\d+)"
    summary = calibrate_bundle(made.bundle.ref.path, str(tmp_path / "d"), groups=other, device="cpu")
    assert summary.bundle.manifest.data.num_calibrate == 8
    (told,) = summary.remarks
    assert told.startswith(f"this model was trained with --groups {PATTERN}; --groups is {other} here")
    assert told.endswith("or train again with this --groups")
    again = calibrate_bundle(summary.bundle.ref.path, str(write_new(tmp_path / "e")), groups=PATTERN, device="cpu")
    assert again.remarks == ()


def write_new(folder: Path) -> Path:
    write_parts(folder, normals()[8:16], NUM_NEW, first=200)
    return folder


def test_a_bundle_that_did_not_keep_its_parts_says_so(made: TrainSummary, tmp_path: Path) -> None:
    contents = made.bundle.contents
    unknown = NormalRecord.of(contents.normals.keys, contents.normals.sets)
    old = save(replace(contents, normals=unknown), tmp_path / "m")
    summary = calibrate_bundle(old.ref.path, str(write_new(tmp_path / "e")), groups=PATTERN, device="cpu")
    (told,) = summary.remarks
    assert told.startswith("this model was made by a version of anomaly that did not keep the names of its parts")
    write_parts(tmp_path / "d" / "train" / "good", seen(), NUM_PARTS)
    write_parts(tmp_path / "d" / "test" / "good", normals()[16:20], 2)
    write_images(tmp_path / "d" / "test" / "bad", others()[:5])
    evaluated = evaluate_bundle(old.ref.path, str(tmp_path / "d"), tmp_path / "r", groups=PATTERN, device="cpu")
    assert evaluated.metrics["num_parts"] == 0
    assert evaluated.remarks == ()  # all images that made it are here, and tell its parts
