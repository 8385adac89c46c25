"""Training as a use case: what is chosen for the user, what a watcher is told, what a failure leaves behind."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anomaly.bundle import Manifest
from anomaly.errors import DataError, DivergedError, UsageError
from anomaly.inference import load_detector
from anomaly.pipeline.train import TrainOptions, TrainWatch, train_bundle
from anomaly.recipes import merged
from anomaly.training import HistoryRow
from tests.digit_images import Pixels, digits, write_images

TINY: dict[str, dict[str, Any]] = {
    "network": {"latent_dim": 2, "width": 4},
    "training": {"steps": 20, "batch_size": 8},
}


def options(data: Path | str, out: Path, **more: dict[str, Any]) -> TrainOptions:
    return TrainOptions(data=str(data), out=out, recipe="digits", overrides=merged(TINY, more), device="cpu")


def trained(options: TrainOptions) -> Manifest:
    return train_bundle(options).bundle.manifest


def of_size(height: int, width: int, *, colour: bool = False) -> Pixels:
    """25 different images of one size."""
    shape = (25, height, width, 3) if colour else (25, height, width)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ("images", "size", "channels"),
    [
        (of_size(3, 5), 8, 1),
        (of_size(8, 8), 8, 1),
        (of_size(9, 4), 16, 1),
        (of_size(10, 17), 32, 1),
        (of_size(90, 70), 64, 1),
        (of_size(8, 8, colour=True), 8, 3),
        (np.repeat(of_size(8, 8)[..., None], 3, axis=3), 8, 1),
    ],
)
def test_size_and_channels_are_as_the_images_are(tmp_path: Path, images: Pixels, size: int, channels: int) -> None:
    write_images(tmp_path / "d", images)
    recipe = trained(options(tmp_path / "d", tmp_path / "m")).recipe
    assert (size, channels) == (recipe.preprocess.size, recipe.preprocess.channels)
    assert (size, channels) == (recipe.plan.size, recipe.plan.channels)


def test_what_the_user_says_goes_before_what_the_images_are(tmp_path: Path) -> None:
    write_images(tmp_path / "d", of_size(8, 8))
    chosen = options(tmp_path / "d", tmp_path / "m", preprocess={"size": 16, "channels": 3})
    preprocess = trained(chosen).recipe.preprocess
    assert (preprocess.size, preprocess.channels) == (16, 3)


def test_broken_images_do_not_decide_the_size(tmp_path: Path) -> None:
    write_images(tmp_path / "d", of_size(8, 8))
    for number in range(16):
        (tmp_path / "d" / f"0000-{number}.png").write_text("no image")
    manifest = trained(options(tmp_path / "d", tmp_path / "m"))
    assert manifest.data.num_left_out == 16
    assert manifest.recipe.preprocess.size == 8  # those that can be read decide


def test_a_watcher_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    curves: list[HistoryRow] = []

    def on_step(step: int, row: HistoryRow) -> None:
        told.append(f"step {step}")
        curves.append(row)

    watch = TrainWatch(
        on_recipe=lambda resolved: told.append(f"{resolved.name} of {resolved.recipe.preprocess.size}"),
        on_reading=lambda total: told.append(f"reading {total}"),
        on_image=lambda: told.append("image"),
        on_step=on_step,
        on_calibrating=lambda: told.append("calibrating"),
    )
    write_images(tmp_path / "d", of_size(8, 8))
    summary = train_bundle(options(tmp_path / "d", tmp_path / "m"), watch)
    bundle = summary.bundle
    assert told == ["digits of 8", "reading 25", *["image"] * 25, "step 10", "step 20", "calibrating"]
    assert len(bundle.contents.history) == 20
    assert bundle.manifest.metrics == curves[-1]


def test_a_failed_run_writes_no_version_and_keeps_no_pixels(tmp_path: Path) -> None:
    write_images(tmp_path / "d", of_size(8, 8))
    wild = options(tmp_path / "d", tmp_path / "m", training={"steps": 200, "learning_rate": 1e30})
    with pytest.raises(DivergedError, match="not finite"):
        train_bundle(wild)
    write_images(tmp_path / "few", of_size(8, 8)[:5])
    with pytest.raises(DataError, match="at least 20"):
        train_bundle(options(tmp_path / "few", tmp_path / "m"))
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
def test_what_the_end_needs_is_asked_for_before_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    """The graph is made after hours of training."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf"training needs {library}: pip install 'anomaly\[torch\]'"):
        train_bundle(options("digits", tmp_path / "m"))
    assert not list(tmp_path.iterdir())


def test_the_record_says_what_the_bundle_was_made_of(tmp_path: Path) -> None:
    write_images(tmp_path / "d", digits("train", "0")[:40])
    Image.new("L", (8, 8)).save(tmp_path / "d" / "zz.gif")
    record = trained(replace(options(tmp_path / "d", tmp_path / "m"), command="the command"))
    counts = record.data.num_train, record.data.num_select, record.data.num_calibrate, record.data.num_left_out
    assert counts == (24, 6, 10, 1)
    assert record.data.source == str(tmp_path / "d")
    assert record.data.fingerprint == record.data.calibration_fingerprint
    assert record.command == "the command"
    assert set(record.libraries) == {"python", "torch", "numpy"}


def test_the_fingerprint_tells_data_apart(tmp_path: Path) -> None:
    images = digits("train", "0")[:25]
    prints = []
    for name, content in {"a": images, "b": images.copy(), "c": np.roll(images, 1, axis=2)}.items():
        write_images(tmp_path / name, content)
        prints.append(trained(options(tmp_path / name, tmp_path / "m")).data.fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_goldens_are_select_images_with_their_scores(tmp_path: Path) -> None:
    bundle = train_bundle(replace(options("digits", tmp_path / "m"), normal=("0",))).bundle
    golden = bundle.contents.golden
    evidence = load_detector(bundle.ref.path, device="cpu").evidence(golden.pixels)
    assert len(golden.pixels) == 4
    np.testing.assert_allclose(golden.scores, evidence.score, rtol=1e-5)
    np.testing.assert_allclose(golden.z_hat, evidence.z_hat, rtol=1e-4, atol=1e-5)


def test_the_manifest_keeps_the_recipe_that_was_chosen_and_why(tmp_path: Path) -> None:
    write_images(tmp_path / "d", of_size(8, 8))
    auto = replace(options(tmp_path / "d", tmp_path / "m"), recipe="auto")
    named = trained(options(tmp_path / "d", tmp_path / "m"))
    chosen = trained(auto)
    assert (named.recipe_name, named.recipe_reason) == ("digits", "")
    assert chosen.recipe_name == "few-images"
    assert "fewer than 1,000 images" in chosen.recipe_reason
    assert chosen.recipe.training.augment
    assert chosen.recipe == named.recipe.model_copy(
        update={"training": named.recipe.training.model_copy(update={"augment": True})}
    )


def test_what_was_done_is_told(tmp_path: Path) -> None:
    write_images(tmp_path / "d", of_size(8, 8))
    whole = train_bundle(options(tmp_path / "d", tmp_path / "m"))
    part = train_bundle(replace(options(tmp_path / "d", tmp_path / "m"), max_minutes=0.0))
    assert len(repr(whole)) < 500
    assert not whole.bundle.manifest.is_cut_short
    (shortage,) = whole.bundle.manifest.warnings
    assert "needs at least 19 calibration images" in shortage
    assert part.bundle.manifest.is_cut_short
    done, how, sets = part.sentences()
    assert done == "trained 10 of 20 steps at 8 × 8 pixels; it ended because the time limit was reached"
    assert "--resume" in how
    assert sets == whole.sentences()[-1]
    warning, *others = part.bundle.manifest.warnings
    assert others == [shortage]
    assert "after 10 of 20 steps" in warning
    assert f"- {warning}\n" in part.bundle.card


def test_what_scaling_takes_away_is_a_warning_that_stays(tmp_path: Path) -> None:
    write_images(tmp_path / "d", of_size(60, 160))
    told: list[str] = []
    chosen = options(tmp_path / "d", tmp_path / "m", preprocess={"size": 16})
    bundle = train_bundle(chosen, TrainWatch(on_warning=told.append)).bundle
    early, *stored = told
    assert "normal images are enough" in early
    warning, shortage = bundle.manifest.warnings
    assert stored == [warning]  # the shortage was told before, and the card keeps what became of it
    assert "needs at least 19 calibration images" in shortage
    assert "images of 160 × 60 pixels are scaled down to 16 × 16: about 10.0 pixels become one" in warning
    assert f"- {warning}\n" in bundle.card


def test_a_game_that_was_cut_short_says_so_again_when_resumed(tmp_path: Path) -> None:
    """f-AnoGAN's encoder has had its steps: resuming trains no more, and must not say that all steps were done."""
    write_images(tmp_path / "d", of_size(8, 8))
    chosen = options(tmp_path / "d", tmp_path / "m", training={"method": "f-anogan", "steps": 60, "batch_size": 4})
    for one in (replace(chosen, max_minutes=0.0), replace(chosen, resume=True)):
        summary = train_bundle(one)
        assert summary.bundle.manifest.is_cut_short
        done, how, _ = summary.sentences()
        assert done.endswith("because the time limit was reached")
        assert how == "train again with more time: a game that was cut short for its encoder cannot go on"
