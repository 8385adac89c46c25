"""Calibration as a use case; the rest is shown in `tests/cli/test_calibrate.py`."""

import json
import sys
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from anomaly.bundle import SCHEMA_VERSION
from anomaly.bundle.layout import EVIDENCE, MANIFEST
from anomaly.calibration import Calibration
from anomaly.data import ragged
from anomaly.errors import DataError, StorageError, UsageError
from anomaly.inference import EngineName, load_detector
from anomaly.pipeline.calibrate import _still_true, _unlike, calibrate_bundle, warning_of_unlike
from anomaly.pipeline.reading import ReadingWatch
from tests.bundle.copies import refuse_writing, sum_again
from tests.digit_images import Pixels, digits, normals, write_images


@pytest.fixture
def model(bigan_dir: Path, tmp_path: Path) -> Path:
    return Path(copytree(bigan_dir, tmp_path / "models" / "zeros"))


def test_a_watcher_is_told_and_the_summary_counts(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "new", np.concatenate([normals()[:25], digits("train", "0")[:5]]))
    (tmp_path / "new" / "text.png").write_text("no image")
    totals: list[int] = []
    read: list[None] = []
    watch = ReadingWatch(on_reading=totals.append, on_image=lambda: read.append(None))
    summary = calibrate_bundle(model, str(tmp_path / "new"), device="cpu", watch=watch)
    assert totals == [31] == [len(read)]
    assert (summary.num_seen, summary.num_failed, summary.bundle.version) == (5, 1, 2)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_read(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_writing(monkeypatch, model)
    totals: list[int] = []
    with pytest.raises(StorageError, match=rf"^cannot write a bundle into {model}: Permission denied"):
        calibrate_bundle(model, "digits", normal=["0"], device="cpu", watch=ReadingWatch(on_reading=totals.append))
    assert not totals


@pytest.mark.parametrize("chunk", [1, 7, 25, 100])
def test_chunks_are_an_implementation_detail(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    images: Pixels = normals()[:25]
    write_images(tmp_path / "new", images)
    monkeypatch.setattr(ragged, "chunk_size", lambda config: chunk)
    bundle = calibrate_bundle(model, str(tmp_path / "new"), device="cpu").bundle
    expected = np.sort(load_detector(model / "1", device="cpu").score(list(images)).score)
    np.testing.assert_allclose(bundle.contents.calibration.scores, expected, rtol=1e-5)


def of_schema_2(model: Path) -> Path:
    """As it was before bundles had graphs."""
    manifest = json.loads((model / "1" / MANIFEST).read_text())
    (model / "1" / MANIFEST).write_text(json.dumps(manifest | {"schema_version": 2}))
    (model / "1" / EVIDENCE).unlink()
    sum_again(model / "1")
    return model


def test_a_bundle_of_an_older_schema_gets_its_graph(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "new", normals()[:25])
    made = calibrate_bundle(of_schema_2(model), str(tmp_path / "new"), device="cpu").bundle
    assert made.schema_version == SCHEMA_VERSION
    new, old = load_detector(model, device="cpu"), load_detector(model / "1", device="cpu")
    assert (new.engine.name, old.engine.name) == (EngineName.ONNXRUNTIME, EngineName.TORCH)
    images = list(normals()[30:40])
    np.testing.assert_allclose(new.score(images).score, old.score(images).score, rtol=1e-4)


@pytest.mark.parametrize("library", ["onnx", "onnxscript"])
def test_where_its_graph_cannot_be_made_one_sentence_says_so(
    model: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    says = rf"is of schema 2; calibrating it needs {library}: pip install 'anomaly\[torch\]'"
    with pytest.raises(UsageError, match=says):
        calibrate_bundle(of_schema_2(model), "digits", normal=["0"], device="cpu")


def test_nothing_new_writes_nothing(model: Path) -> None:
    with pytest.raises(DataError, match="all 143 normal images of digits"):
        calibrate_bundle(model, "digits", normal=["0"], device="cpu")
    assert [path.name for path in model.iterdir() if not path.name.startswith(".")] == ["1"]


def test_a_calibrated_bundle_loads_and_decides_by_its_new_ranks(model: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "new", normals()[:25])
    calibrate_bundle(model, str(tmp_path / "new"), device="cpu")
    old, new = load_detector(model / "1", device="cpu"), load_detector(model, device="cpu")
    image = normals()[30]
    assert old.score(image).score == new.score(image).score
    assert new.score(image).p_value * 26 == pytest.approx(np.round(new.score(image).p_value * 26))
    assert new.score(image, alpha=0.5).threshold != old.score(image, alpha=0.5).threshold


@pytest.mark.parametrize(("num_calibration", "told"), [(38, "about 3 are expected"), (39, "about 5 are expected")])
def test_as_many_are_expected_as_the_threshold_lets_pass(num_calibration: int, told: str) -> None:
    """Of 38 calibration images one may score higher, 1/39 = 2.6 %: half of the 5 % that are the most. Of 39 two."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2000):
        old = Calibration.fit(rng.normal(size=num_calibration))
        threshold = old.threshold(0.05)
        assert threshold is not None
        found.append(np.sum(rng.normal(size=100) > threshold))
    assert f"about {np.mean(found):.0f} are expected" == told
    old = Calibration.fit(np.arange(float(num_calibration)))
    warning = warning_of_unlike(old, Calibration.fit(np.full(100, 1000.0)), version=3)
    assert warning is not None
    assert told in warning


def after(old: Calibration, *warnings: str) -> Any:
    """A version 3 with this calibration, and what its manifest warns of."""
    return SimpleNamespace(
        version=3, contents=SimpleNamespace(calibration=old), manifest=SimpleNamespace(warnings=list(warnings))
    )


def test_images_of_which_the_flagged_were_left_out_are_warned_of_and_chance_seldom_is() -> None:
    """Their threshold lets nearly twice as many false alarms pass as was asked for: those that were left out, too."""
    num_told = {True: 0, False: 0}
    rates = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        old = Calibration.fit(rng.normal(size=592))
        good = rng.normal(size=400)
        for only_passed in num_told:
            kept = good[good <= (old.threshold(0.05) or 0.0)] if only_passed else good
            warning = warning_of_unlike(old, Calibration.fit(kept[:200]), version=3)
            num_told[only_passed] += warning is not None
            if only_passed:
                assert "calls 0 of 200 anomalous. At a false-alarm rate of 0.05 about 10 are expected" in str(warning)
                assert "left out because they had been flagged, the threshold is too low" in str(warning)
                rates.append((rng.normal(size=500) > (Calibration.fit(kept[:200]).threshold(0.05) or 0.0)).mean())
    assert num_told[True] == 200
    assert num_told[False] <= 10
    assert np.mean(rates) > 0.08


def test_equal_scores_at_the_threshold_are_no_sign_that_any_were_left_out() -> None:
    old = Calibration.fit(np.repeat([0.0, 1.0], [500, 500]))
    assert warning_of_unlike(old, Calibration.fit(np.repeat([0.0, 1.0], [100, 100])), version=3) is None
    assert warning_of_unlike(old, Calibration.fit(np.zeros(200)), version=3) is None


def test_low_scores_after_high_ones_are_no_second_warning_and_end_as_the_scores_rise() -> None:
    """Good images after a lot of defective ones score lower: the warning of the lot goes, and that is all."""
    old, low, high = (Calibration.fit(np.arange(200.0) + shift) for shift in (0, -60, 60))
    (is_high, is_low) = (str(_unlike(after(old), each)) for each in (high, low))
    assert is_high.startswith("These calibration images are unlike")
    assert is_low.startswith("Fewer of these calibration images are anomalous than")
    assert _unlike(after(old, is_high), low) is None
    assert _still_true(after(old, is_high, is_low, "other"), low) == [is_low, "other"]
    assert _still_true(after(old, is_high, is_low, "other"), high) == [is_high, "other"]
    assert _still_true(after(old, is_high, is_low, "other"), old) == [is_high, is_low, "other"]
