"""The work files of one training: a folder of its own under `models/NAME/.training`, locked while it trains.

    run-3f9c21d0/   .lock   pixels.u8   checkpoint.safetensors

So trainings of one NAME at the same time share no file. A run that was killed leaves its folder, and no lock: --resume
takes the checkpoint of the same run over. What is done in `.training` itself is done by one process at a time.
"""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from anomaly.errors import CheckpointError, InUseError
from anomaly.files import storing
from anomaly.locks import LOCK, held
from anomaly.training.state import of_another_run, run_of_checkpoint

WORK = ".training"
NUM_KEPT = 3
"""Folders of ended runs, newest first, that are kept for --resume."""

_CHECKPOINT, _PIXELS = "checkpoint.safetensors", "pixels.u8"


@dataclass(frozen=True)
class RunFolder:
    """The folder of the run that holds it."""

    path: Path

    @property
    def pixels(self) -> Path:
        """Where the preprocessed images are, while the run lasts."""
        return self.path / _PIXELS

    @property
    def checkpoint(self) -> Path:
        """Where the run keeps its state; it stays when the run has ended."""
        return self.path / _CHECKPOINT

    def take_over(self, run: str) -> None:
        """Move the newest checkpoint of an ended run of this id here.

        Raises:
            InUseError: that run is being trained.
            CheckpointError: there is no such run.
        """
        work = self.path.parent
        with _alone(work):
            earlier = _checkpoints(work)
            found = next((path for path in earlier if run_of_checkpoint(path) == run), None)
            if found is None:
                _check_some(earlier, work)
                raise of_another_run(earlier[0])
            with held(found.parent / LOCK, _RUN.format(found.parent), instead=_ANEW):
                found.replace(self.checkpoint)
            shutil.rmtree(found.parent)


@contextmanager
def run_folder(out: Path, *, resume: bool = False) -> Iterator[RunFolder]:
    """A new folder for a run under `out`; only its checkpoint stays in it.

    Without `resume` those of ended runs are removed, but for the newest `NUM_KEPT`. With it there must be one to take
    over. A run that fails before its first checkpoint leaves no folder that it has made. A KeyboardInterrupt gets a
    note, whether there is a checkpoint to go on from.

    Raises:
        StorageError: `out` cannot be written.
        CheckpointError: there is nothing to resume.  InUseError: all that could be resumed is being trained.
    """
    work = out / WORK
    with ExitStack() as stack:
        stack.callback(_remove_empty, [folder for folder in (work, *work.parents) if not folder.exists()])
        with storing("a training's work files", out, instead="choose another --out"):
            work.mkdir(parents=True, exist_ok=True)
        with _alone(work):
            if resume:
                _check_resumable(work)
            else:
                _tidy(work)
            own = RunFolder(work / f"run-{secrets.token_hex(4)}")
            with storing("a training's work files", out, instead="choose another --out"):
                own.path.mkdir()
            stack.callback(_leave, own)
            stack.enter_context(held(own.path / LOCK, _RUN.format(own.path)))
        try:
            yield own
        except KeyboardInterrupt as stop:
            stop.add_note(_KEPT if resume or own.checkpoint.exists() else _LOST)
            raise


_RUN = "the training run {}"
_ANEW = "train without --resume to start anew"
_KEPT = "the same command with --resume goes on from the last checkpoint"
_LOST = "nothing of this training is kept: it had no checkpoint yet, or its recipe keeps none"


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """No other process makes, takes over or removes folders of runs meanwhile."""
    with held(work / LOCK, f"the folder {work}", wait=True):
        yield


def _leave(own: RunFolder) -> None:
    own.pixels.unlink(missing_ok=True)
    with suppress(OSError):  # it holds a checkpoint
        own.path.rmdir()


def _remove_empty(made: list[Path]) -> None:
    """Innermost first."""
    with suppress(OSError):  # it holds something, or was never made
        for folder in made:
            folder.rmdir()


def _checkpoints(work: Path) -> list[Path]:
    """Newest first."""
    return sorted(work.glob(f"run-*/{_CHECKPOINT}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _check_some(checkpoints: list[Path], work: Path) -> None:
    if not checkpoints:
        if (old := work / _CHECKPOINT).exists():  # before runs had folders
            raise CheckpointError(
                f"the checkpoint {old} was written by an older version of anomaly, and only that can go on from it; "
                "train without --resume to start anew"
            )
        raise CheckpointError(f"nothing to resume: there is no checkpoint under {work}; train without --resume")


def _check_resumable(work: Path) -> None:
    """Before any image is read: is there a checkpoint that nobody is writing?"""
    checkpoints = _checkpoints(work)
    _check_some(checkpoints, work)
    for index, checkpoint in enumerate(checkpoints, start=1):
        try:
            with held(checkpoint.parent / LOCK, _RUN.format(checkpoint.parent), instead=_ANEW):
                return
        except InUseError:
            if index == len(checkpoints):
                raise


def _tidy(work: Path) -> None:
    """Remove what killed runs have left beside their checkpoints, and the checkpoints that are not kept."""
    resumable = [path.parent for path in _checkpoints(work)]
    num_kept = 0
    for folder in [*resumable, *(set(work.glob("run-*")) - set(resumable))]:
        with suppress(InUseError), held(folder / LOCK, _RUN.format(folder)):
            num_kept += folder in resumable
            if folder not in resumable or num_kept > NUM_KEPT:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            for left in (folder / _PIXELS, *folder.glob(".*.partial")):
                left.unlink(missing_ok=True)
