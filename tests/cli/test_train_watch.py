"""`anomaly train`: its warnings, on the terminal and in the bundle, and its curves for TensorBoard."""

import sys
from pathlib import Path

import pytest

from anomaly.bundle import load
from tests.cli.calls import TINY, done, refused, sets

ZEROS = ("train", "digits", "--normal", "0", "--device", "cpu")
WILD = ("--recipe", "anogan", "--steps", "60", *sets(
    "network.architecture=mlp", "network.hidden=[32, 32]", "search.steps=1", "training.loss=wasserstein",
    "training.clip_weights=10", "training.learning_rate=0.05", "training.batch_size=16"))  # fmt: skip


def test_a_run_that_goes_wrong_is_warned_of_once_and_says_so_in_its_bundle(tmp_path: Path) -> None:
    result = done(*ZEROS, *WILD, "--out", tmp_path / "m")
    assert result.stderr.count("warning: divergence at step ") == 1
    assert "training.learning_rate than 0.05" in result.stderr
    bundle = load(tmp_path / "m")
    (warning,) = bundle.manifest.warnings
    assert f"warning: {warning}\n" in result.stderr
    assert f"## Warnings\n\n- {warning}\n" in bundle.card


def test_a_resumed_run_keeps_its_earlier_warnings(tmp_path: Path) -> None:
    done(*ZEROS, *WILD, "--out", tmp_path / "m")
    done(*ZEROS, *WILD, "--steps", "70", "--resume", "--out", tmp_path / "m")
    assert load(tmp_path / "m" / "1").manifest.warnings == load(tmp_path / "m" / "2").manifest.warnings


def test_a_run_that_goes_well_has_no_warnings(tmp_path: Path) -> None:
    result = done(*ZEROS, *TINY, "--out", tmp_path / "m")
    assert "warning" not in result.stderr
    bundle = load(tmp_path / "m")
    assert bundle.manifest.warnings == []
    assert "Warnings" not in bundle.card


def read_scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Tag → step → value, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def test_tensorboard_shows_each_step_once_after_a_resume_too(tmp_path: Path) -> None:
    options = (*ZEROS, *TINY, "--out", tmp_path / "m", "--tensorboard", tmp_path / "curves")
    done(*options)
    done(*options, "--steps", "20", "--resume")
    scalars = read_scalars(tmp_path / "curves")
    history = load(tmp_path / "m").contents.history
    assert len(history) == 20
    for tag in ("loss_d", "loss_g", "diversity"):
        assert scalars[tag] == pytest.approx({int(row["step"]): row[tag] for row in history}, rel=1e-4)
    assert set(scalars) == set(history[0]) - {"step"}


def test_no_tensorboard_no_files(tmp_path: Path) -> None:
    done(*ZEROS, *TINY, "--out", tmp_path / "m")
    assert not list(tmp_path.rglob("*tfevents*"))


def test_tensorboard_that_is_not_installed_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    message = refused(*ZEROS, *TINY, "--out", tmp_path / "m", "--tensorboard", tmp_path / "curves")
    said = "--tensorboard needs tensorboard: pip install 'anomaly[tensorboard]', or leave the option away"
    assert said in " ".join(message.split())
    assert not (tmp_path / "m" / "1").exists()


def test_a_tensorboard_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refused(*ZEROS, *TINY, "--out", tmp_path / "m", "--tensorboard", tmp_path / "file")
    assert str(tmp_path / "file") in message
