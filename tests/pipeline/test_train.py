"""Training as a use case: what is chosen for the user, what a watcher is told, what a failure leaves behind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.config import TrainingConfig
from anomaly.errors import DataError, DivergedError
from anomaly.inference import load_detector
from anomaly.pipeline import TrainOptions, TrainWatch, train_bundle
from anomaly.training import HistoryRow
from tests.digit_images import Pixels, digits, write_images


def options(data: Path | str, out: Path) -> TrainOptions:
    training = TrainingConfig(steps=20, batch_size=8)
    return TrainOptions(data=str(data), out=out, training=training, latent_dim=2, width=4, device="cpu")


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
    manifest = train_bundle(options(tmp_path / "d", tmp_path / "m")).manifest
    assert (size, channels) == (manifest.preprocess.size, manifest.preprocess.channels)
    assert (size, channels) == (manifest.network.size, manifest.network.channels)


def test_what_the_user_says_goes_before_what_the_images_are(tmp_path: Path) -> None:
    write_images(tmp_path / "d", of_size(8, 8))
    chosen = replace(options(tmp_path / "d", tmp_path / "m"), size=16, channels=3)
    assert (train_bundle(chosen).manifest.preprocess.size, train_bundle(chosen).manifest.preprocess.channels) == (16, 3)


def test_broken_images_do_not_decide_the_size(tmp_path: Path) -> None:
    write_images(tmp_path / "d", of_size(8, 8))
    for number in range(16):
        (tmp_path / "d" / f"0000-{number}.png").write_text("no image")
    manifest = train_bundle(options(tmp_path / "d", tmp_path / "m")).manifest
    assert manifest.data.num_left_out == 16


def test_a_watcher_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    curves: list[HistoryRow] = []

    def on_step(step: int, row: HistoryRow) -> None:
        told.append(f"step {step}")
        curves.append(row)

    watch = TrainWatch(
        on_reading=lambda total: told.append(f"reading {total}"),
        on_image=lambda: told.append("image"),
        on_step=on_step,
        on_calibrating=lambda: told.append("calibrating"),
    )
    write_images(tmp_path / "d", of_size(8, 8))
    bundle = train_bundle(options(tmp_path / "d", tmp_path / "m"), watch)
    assert told == ["reading 25", *["image"] * 25, "step 10", "step 20", "calibrating"]
    assert len(bundle.contents.history) == 20
    assert bundle.manifest.metrics == curves[-1]


def test_a_failed_run_writes_no_version_and_keeps_no_pixels(tmp_path: Path) -> None:
    write_images(tmp_path / "d", of_size(8, 8))
    wild = replace(options(tmp_path / "d", tmp_path / "m"), training=TrainingConfig(steps=200, learning_rate=1e30))
    with pytest.raises(DivergedError, match="not finite"):
        train_bundle(wild)
    write_images(tmp_path / "few", of_size(8, 8)[:5])
    with pytest.raises(DataError, match="at least 20"):
        train_bundle(options(tmp_path / "few", tmp_path / "m"))
    assert [path.name for path in (tmp_path / "m").iterdir()] == [".training"]
    assert not list((tmp_path / "m").rglob("pixels.u8"))


def test_the_record_says_what_the_bundle_was_made_of(tmp_path: Path) -> None:
    write_images(tmp_path / "d", digits("train", "0")[:40])
    Image.new("L", (8, 8)).save(tmp_path / "d" / "zz.gif")
    record = train_bundle(replace(options(tmp_path / "d", tmp_path / "m"), command="the command")).manifest
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
        prints.append(train_bundle(options(tmp_path / name, tmp_path / "m")).manifest.data.fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_goldens_are_select_images_with_their_scores(tmp_path: Path) -> None:
    bundle = train_bundle(replace(options("digits", tmp_path / "m"), normal=("0",)))
    golden = bundle.contents.golden
    evidence = load_detector(bundle.ref.path, device="cpu").evidence(golden.pixels)
    assert len(golden.pixels) == 4
    np.testing.assert_allclose(golden.scores, evidence.score, rtol=1e-5)
    np.testing.assert_allclose(golden.z_hat, evidence.z_hat, rtol=1e-4, atol=1e-5)
