"""`anomaly calibrate`: new normals, a new version, the same model."""

from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import pytest

from anomaly.bundle import load
from anomaly.data import image_keys
from anomaly.inference import load_detector
from anomaly.pipeline.enough import NO_VERDICTS
from tests.cli.calls import done, refused
from tests.digit_images import digits, normals, others, write_images


@pytest.fixture
def model(bigan_dir: Path, tmp_path: Path) -> Path:
    """A name directory that may be given versions."""
    return Path(copytree(bigan_dir, tmp_path / "models" / "zeros"))


def test_new_normals_make_a_new_version_with_new_ranks_only(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "new", normals()[:25])
    result = done("calibrate", model, tmp_path / "new", "--device", "cpu")
    old, new = load(model / "1"), load(model / "2")
    assert load(model).version == 2
    for name in ("weights.safetensors", "golden.safetensors"):
        assert (model / "1" / name).read_bytes() == (model / "2" / name).read_bytes()
    assert old.contents.history == new.contents.history
    for name in ("mean", "std", "inverse_covariance"):
        np.testing.assert_array_equal(
            getattr(old.contents.statistics, name), getattr(new.contents.statistics, name), err_msg=name
        )
    scores = load_detector(model / "1", device="cpu").score(list(normals()[:25])).score
    np.testing.assert_allclose(new.contents.calibration.scores, np.sort(scores), rtol=1e-5)
    assert new.manifest.data.num_calibrate == 25
    assert new.manifest.data.num_train == old.manifest.data.num_train
    assert new.manifest.data.fingerprint == old.manifest.data.fingerprint
    assert new.manifest.data.calibration_fingerprint != old.manifest.data.calibration_fingerprint
    assert "given to `anomaly calibrate` later" not in old.card
    assert " select, 25 calibrate (given to `anomaly calibrate` later) |" in new.card
    assert f"wrote {model / '2'} with 25 calibration images" in result.stdout
    assert f"threshold at alpha 0.05: {new.contents.calibration.threshold(0.05):.6g}" in result.stdout


def test_images_that_made_the_model_are_left_out(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "new", np.concatenate([digits("train", "0")[:30], normals()[:25]]))
    result = done("calibrate", model, tmp_path / "new")
    assert "30 images were left out: the model was made from them" in result.stderr
    assert load(model).contents.calibration.num_calibration == 25


def test_files_that_cannot_be_read_are_left_out_as_in_training(model: Path, tmp_path: Path) -> None:
    """`done` wants exit code 0."""
    write_images(tmp_path / "new", normals()[:25])
    (tmp_path / "new" / "text.png").write_text("no image")
    result = done("calibrate", model, tmp_path / "new")
    table = model / "2.left_out.csv"
    assert f"1 file could not be read and was left out; {table} says which and why" in result.stderr
    assert str(tmp_path / "new" / "text.png") in table.read_text("utf-8")
    assert load(model).contents.calibration.num_calibration == 25
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "text.png").write_text("no image")
    assert "text.png: is not in an accepted image format" in refused("calibrate", model, tmp_path / "none")


def test_images_that_calibrated_are_seen_from_then_on(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "new", normals()[:25])
    done("calibrate", model, tmp_path / "new")
    normal_record = load(model).contents.normals
    assert set(image_keys(normals()[:25, None])) < set(normal_record.keys.tolist())
    assert normal_record.knows(image_keys(normals()[:25, None])).all()
    assert "all 25 normal images" in refused("calibrate", model, tmp_path / "new")


def test_only_images_already_seen_is_a_mistake(model: Path) -> None:
    message = refused("calibrate", model, "digits", "--normal", "0")
    assert "calibrate with normal images that it has not seen" in message
    assert not (model / "2").exists()


def test_a_version_directory_is_followed_by_the_next_free_version(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "a", normals()[:20])
    write_images(tmp_path / "b", normals()[20:])
    done("calibrate", model / "1", tmp_path / "a")
    done("calibrate", model / "1", tmp_path / "b")
    assert load(model).version == 3
    assert load(model).contents.calibration.num_calibration == len(normals()) - 20


def test_files_that_cannot_be_read_are_said(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "new", normals()[:25])
    (tmp_path / "new" / "text.png").write_text("no image")
    result = done("calibrate", model, tmp_path / "new")
    assert "1 file could not be read and was left out" in result.stderr


def test_an_alpha_that_needs_more_images_is_said(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "new", normals()[:25])
    result = done("calibrate", model, tmp_path / "new", "--alpha", "0.01")
    assert "alpha = 0.01 needs at least 99 calibration images and this model has 25" in result.stdout


def test_a_version_that_gives_no_verdicts_any_more_is_warned_of(model: Path, tmp_path: Path) -> None:
    num_before = load(model).contents.calibration.num_calibration
    write_images(tmp_path / "few", normals()[:10])
    result = done("calibrate", model, tmp_path / "few")
    assert result.stderr.replace("\n", " ").endswith(
        "warning: at a false-alarm rate of 0.05 the model gives no verdicts any more. That needs at least 19 "
        f"calibration images. Version 2, which is current now, has 10; version 1 has {num_before}. Calibrate "
        f"{model / '1'} with more normal images. To go back, delete the folder {model / '2'}: then the version before "
        "it is current, as `anomaly models list` shows "
    )
    rmtree(model / "2")
    assert load(model).version == 1


def test_images_that_the_old_version_calls_anomalous_are_warned_of_here_and_in_the_card(
    model: Path, tmp_path: Path
) -> None:
    write_images(tmp_path / "defective", others()[:25])
    result = done("calibrate", model, tmp_path / "defective")
    old, new = load(model / "1"), load(model / "2")
    was, now = (bundle.contents.calibration.threshold(0.05) for bundle in (old, new))
    num_found = int((old.contents.calibration.p_values(new.contents.calibration.scores) <= 0.05).sum())
    (warning,) = (line for line in new.manifest.warnings if line not in old.manifest.warnings)
    assert f"version 1 calls {num_found} of 25 anomalous. At a false-alarm rate of 0.05 about 1 are expected" in warning
    assert (
        f"The threshold was {was:.6g} at this rate, and it is {now:.6g} now. All calibration images must be" in warning
    )
    told = result.stderr.replace("\n", " ")
    assert f"warning: {warning}. To go back, delete the folder {model / '2'}: then the version before it is" in told
    assert f"- {warning}\n" in (model / "2" / "README.md").read_text("utf-8")


def test_the_next_calibration_is_not_told_of_the_one_before(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "defective", others()[:25])
    write_images(tmp_path / "good", normals()[:25])
    done("calibrate", model, tmp_path / "defective")
    assert "warning:" not in done("calibrate", model, tmp_path / "good").stderr
    assert load(model).version == 3
    assert load(model).manifest.warnings == load(model / "1").manifest.warnings


def test_a_second_lot_of_defective_images_keeps_the_warning_of_the_first(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "first", others()[:25])
    write_images(tmp_path / "second", others()[25:50])
    done("calibrate", model, tmp_path / "first")
    (warning,) = set(load(model).manifest.warnings) - set(load(model / "1").manifest.warnings)
    done("calibrate", model, tmp_path / "second")
    assert warning in load(model).manifest.warnings


def test_that_there_are_no_verdicts_is_in_the_card_as_long_as_it_is_so(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "few", normals()[:10])
    write_images(tmp_path / "more", normals()[10:40])
    done("calibrate", model, tmp_path / "few")
    assert any(warning.startswith(NO_VERDICTS) for warning in load(model).manifest.warnings)
    done("calibrate", model, tmp_path / "more")
    assert not any(warning.startswith(NO_VERDICTS) for warning in load(model).manifest.warnings)


def test_a_version_without_a_usual_threshold_warns_by_the_least_rate_that_it_has(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "few", normals()[:10])
    write_images(tmp_path / "defective", others()[:10])
    done("calibrate", model, tmp_path / "few")
    told = done("calibrate", model, tmp_path / "defective").stderr.replace("\n", " ")
    assert "of 10 anomalous. At a false-alarm rate of 0.0909 about 1 are expected" in told


@pytest.mark.parametrize("options", [["--alpha", "0.2"], ["--alpha", "0.0001"]])
def test_verdicts_that_are_still_given_or_never_were_are_not_warned_of(
    options: list[str], model: Path, tmp_path: Path
) -> None:
    write_images(tmp_path / "few", normals()[:10])
    assert "warning:" not in done("calibrate", model, tmp_path / "few", *options).stderr


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        ("nowhere", [], "nowhere: does not exist"),
        ("digits", [], "say it with --normal"),
        ("digits", ["--normal", "0", "--alpha", "0"], "alpha is the false-alarm rate"),
        ("digits", ["--normal", "1", "--device", "warp"], "'warp'"),
    ],
)
def test_mistakes(model: Path, data: str, options: list[str], said: str) -> None:
    assert said in refused("calibrate", model, data, *options)
    assert [path.name for path in model.iterdir() if path.name.isdigit()] == ["1"]


def test_no_model(tmp_path: Path) -> None:
    assert "there is no bundle at" in refused("calibrate", tmp_path, "digits", "--normal", "0")
