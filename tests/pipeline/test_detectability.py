"""The last step of training: how small a defect is found in the normals that nothing else used."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from anomaly.bundle import Bundle, Contents, NormalSet, load
from anomaly.data import Limits, Sample, image_keys, preprocess, split_distinct
from anomaly.pipeline import detectability, train
from anomaly.pipeline.calibrate import calibrate_bundle
from anomaly.pipeline.detectability import with_detectability
from anomaly.pipeline.train import TrainOptions, TrainSummary, TrainWatch, train_bundle
from tests.digit_images import Pixels, digits, normals, write_images


def samples(images: Sequence[Pixels]) -> list[Sample]:
    return [Sample(f"image {i}", "train", "normal", "", image) for i, image in enumerate(images)]


@pytest.fixture(autouse=True)
def _a_whole_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectability, "TIME_LIMIT_S", 60.0)


def completed(contents: Contents, images: Sequence[Pixels]) -> Contents:
    return with_detectability(contents, samples(images), Path("m"), device="cpu", limits=Limits())


def test_what_is_found_depends_on_the_size_and_nothing_else_changes(bigan_dir: Path) -> None:
    contents = load(bigan_dir).contents
    images = list(normals()[:12])
    record = completed(contents, images).manifest.detectability
    assert record is not None
    assert record == completed(contents, images).manifest.detectability
    assert (record.alpha, record.num_images) == (0.05, 12)
    assert {cell.length for cell in record.cells} == {2, 4}
    assert completed(contents, images).manifest.model_copy(update={"detectability": None}) == contents.manifest


def test_the_lowest_rate_that_the_calibration_allows_is_told(bigan_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = load(bigan_dir).contents
    asked = []

    def measure(pictures: object, flag: object, *, alpha: float, seed: int, region: None, time_limit_s: float) -> None:
        asked.append((alpha, seed, time_limit_s))

    monkeypatch.setattr(detectability, "measure_detectability", measure)
    for num in (10, 19, 98, 99):
        few = contents.calibration.fit(np.arange(num, dtype=np.float64))
        assert completed(_with(contents, few), list(normals()[:2])).manifest.detectability is None
    assert asked == [(0.05, 0, 60.0), (0.05, 0, 60.0), (0.01, 0, 60.0)]


def test_it_takes_no_longer_than_the_training_may(bigan_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []

    def measure(*_: object, time_limit_s: float, **__: object) -> None:
        limits.append(time_limit_s)

    monkeypatch.setattr(detectability, "measure_detectability", measure)
    contents, given = load(bigan_dir).contents, samples(list(normals()[:2]))
    for minutes in (None, 10.0, 1.0, 0.1):
        with_detectability(contents, given, Path("m"), device="cpu", limits=Limits(), max_minutes=minutes)
    assert limits == [60.0, 60.0, 60.0, 6.0]


def _with(contents: Contents, calibration: object) -> Contents:
    return Contents(**{**vars(contents), "calibration": calibration})


def test_without_pictures_nothing_is_measured(bigan_dir: Path) -> None:
    contents = load(bigan_dir).contents
    assert completed(contents, []) is contents


def test_pictures_are_spoilt_as_they_are_on_disk(
    bigan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Larger than what the networks see; a file that is gone is passed over."""
    shapes = []

    def measure(pictures: Sequence[Pixels], flag: Callable[[list[Pixels]], list[bool]], **_: float) -> None:
        for picture in pictures:
            shapes.append(picture.shape)
            assert len(flag([picture, picture])) == 2

    monkeypatch.setattr(detectability, "measure_detectability", measure)
    write_images(tmp_path, np.random.default_rng(0).integers(0, 256, (2, 50, 70, 3), np.uint8))
    files = [Sample(str(path), "train", "normal", "") for path in sorted(tmp_path.iterdir())]
    files.insert(1, Sample(str(tmp_path / "gone.png"), "train", "normal", ""))
    with_detectability(load(bigan_dir).contents, files, Path("m"), device="cpu", limits=Limits())
    assert shapes == [(50, 70, 3), (50, 70, 3)]


def train_with_report(out: Path, told: list[str]) -> TrainSummary:
    overrides = {"network": {"latent_dim": 2, "width": 4}, "training": {"steps": 10, "batch_size": 8}}
    options = TrainOptions("digits", out, "digits", overrides, normal=("0",), device="cpu", max_minutes=0.5)
    watch = TrainWatch(on_calibrating=lambda: told.append("calibrating"), on_measuring=lambda: told.append("measuring"))
    return train_bundle(options, watch)


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Bundle, list[Sample]]:
    """A bundle of a training that held normals out to report on, and the samples that it measured with."""
    used: list[Sample] = []
    told: list[str] = []

    def remember(contents: Contents, given: Sequence[Sample], *more: Path, **options: object) -> Contents:
        used.extend(given)
        assert options["max_minutes"] == 0.5
        return with_detectability(contents, given, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(
        "anomaly.pipeline.normals.split_distinct",
        lambda keys, **options: split_distinct(keys, **options | {"with_report": True}),
    )
    monkeypatch.setattr(train, "with_detectability", remember)
    summary = train_with_report(tmp_path / "m", told)
    assert told == ["calibrating", "measuring"]
    record = summary.bundle.manifest.detectability
    assert record is not None
    assert summary.sentences()[-1] == record.sentences()[0]
    return summary.bundle, used


def test_training_measures_with_the_report_normals_and_no_others(reported: tuple[Bundle, list[Sample]]) -> None:
    bundle, used = reported
    record, known = bundle.manifest.detectability, bundle.contents.normals
    assert record is not None
    assert record.num_images == len(used) == bundle.manifest.data.num_report > 0
    config = bundle.manifest.recipe.preprocess
    keys = image_keys(np.stack([preprocess(sample.open(), config) for sample in used]))
    assert set(keys.tolist()) == set(known.keys[known.sets == NormalSet.REPORT].tolist())


def test_training_without_report_normals_measures_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    summary = train_with_report(tmp_path / "m", told)
    assert told == ["calibrating"]
    assert summary.bundle.manifest.detectability is None


def test_new_thresholds_make_the_record_void(reported: tuple[Bundle, list[Sample]], tmp_path: Path) -> None:
    bundle, _ = reported
    write_images(tmp_path / "new", digits("test", "0")[:20])
    renewed = calibrate_bundle(bundle.ref.path.parent, str(tmp_path / "new"), device="cpu").bundle
    assert renewed.manifest.detectability is None
    assert "How small" not in renewed.card
