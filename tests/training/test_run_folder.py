"""Folders of work files: what stays for --resume, and what is removed."""

from pathlib import Path

import pytest

from anomaly.errors import CheckpointError, InUseError, StorageError
from anomaly.locks import LOCK
from anomaly.training.run_folder import NUM_KEPT, run_folder


def test_what_a_killed_run_leaves_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / "m" / ".training" / "run-00000000"
    left.mkdir(parents=True)
    (left / "pixels.u8").write_bytes(bytes(100))
    (left / LOCK).write_text("of a killed run")
    with run_folder(tmp_path / "m") as own:
        assert [path.name for path in left.parent.glob("run-*")] == [own.path.name]
    assert [path.name for path in left.parent.iterdir()] == []


def test_checkpoints_of_ended_runs_are_kept_but_not_all(tmp_path: Path) -> None:
    for number in range(NUM_KEPT + 3):
        with run_folder(tmp_path) as own:
            own.checkpoint.write_text(str(number))
    kept = sorted(path.read_text() for path in (tmp_path / ".training").glob("*/checkpoint.safetensors"))
    assert kept == [str(number) for number in range(2, NUM_KEPT + 3)]


def test_a_run_that_trains_keeps_its_folder_whatever_others_do(tmp_path: Path) -> None:
    with run_folder(tmp_path) as first:
        first.checkpoint.write_text("first")
        first.pixels.touch()
        for _ in range(NUM_KEPT + 2):
            with run_folder(tmp_path) as other:
                assert other.path != first.path
                other.checkpoint.write_text("other")
        assert first.checkpoint.read_text() == "first"
        assert first.pixels.exists()
    assert [path.name for path in first.path.iterdir()] == ["checkpoint.safetensors"]


def test_a_run_that_fails_at_once_leaves_no_folder_that_it_made(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with pytest.raises(CheckpointError), run_folder(tmp_path / "models" / "a" / "b"):
        raise CheckpointError
    assert list(tmp_path.rglob("*")) == [tmp_path / "models"]
    with run_folder(tmp_path / "models" / "a") as own:
        own.checkpoint.touch()
    assert own.checkpoint.exists()


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing to resume"), run_folder(tmp_path, resume=True):
        pass
    with run_folder(tmp_path) as own:
        own.checkpoint.touch()
        with (
            pytest.raises(InUseError, match=f" is writing the training run {own.path}; "),
            run_folder(tmp_path, resume=True),
        ):
            pass
    with (
        run_folder(tmp_path, resume=True) as own,
        pytest.raises(CheckpointError, match=r"another run: .* or another version of anomaly began it"),
    ):
        own.take_over("some run")
    assert len(list((tmp_path / ".training").glob("run-*/checkpoint.safetensors"))) == 1


def test_a_checkpoint_of_before_runs_had_folders_is_told_as_such(tmp_path: Path) -> None:
    old = tmp_path / ".training" / "checkpoint.safetensors"
    old.parent.mkdir()
    old.touch()
    said = rf"the checkpoint {old} was written by an older version of anomaly, .* train without --resume"
    with pytest.raises(CheckpointError, match=said), run_folder(tmp_path, resume=True):
        pass
    assert old.exists()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"into .*file: .*\. Choose another --out"), run_folder(tmp_path / "file"):
        pass
