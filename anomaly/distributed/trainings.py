"""`anomaly train-many`: the models of a plan, each trained by a worker of this machine or of a Ray cluster.

What is done is not done again: a model that has a version of the same row is left as it is, and a training that was
killed goes on from its checkpoint. So the same command is given again after whatever ended it.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from anomaly.bundle import Bundle, list_bundles, load
from anomaly.distributed.plan import Planned
from anomaly.distributed.tasks import run_tasks
from anomaly.distributed.workers import Workers
from anomaly.errors import BundleError, CheckpointError
from anomaly.extras import WITH_TORCH, require
from anomaly.pipeline.train import TrainOptions, train_bundle

THERE, RESUMED, TRAINED = "was there", "resumed", "trained"


@dataclass(frozen=True)
class RowResult:
    """What a worker has made of a row: how, the version, the seconds it took, and how many warnings it gave."""

    how: str
    version: int
    seconds: float
    num_warnings: int


@dataclass(frozen=True)
class Ended:
    """A row that has ended: its result, or one sentence on why there is none."""

    row: Planned
    result: RowResult | None = None
    error: str | None = None


def train_many(rows: Sequence[Planned], workers: Workers) -> Iterator[Ended]:
    """Train what the rows ask for; they come in the order in which they end.

    Raises:
        AnomalyError: no worker can be started: torch or Ray is missing, or no cluster answers.
    """
    yield from (Ended(row, error=row.problem) for row in rows if row.problem is not None)
    good = [row for row in rows if row.problem is None]
    for outcome in run_tasks(_train, good, initialise=_prepare, workers=workers):
        yield Ended(outcome.item, outcome.result, outcome.error)


def _prepare() -> None:
    require("training", "torch", *WITH_TORCH)


def _train(_: None, row: Planned) -> RowResult:
    started = time.monotonic()
    assert row.options is not None
    how, bundle = _bundle_of(row.options)
    return RowResult(how, bundle.version, time.monotonic() - started, len(bundle.manifest.warnings))


def _bundle_of(options: TrainOptions) -> tuple[str, Bundle]:
    if (found := _version_of(options)) is not None:
        return THERE, found
    if any(options.out.glob(".training/run-*/checkpoint.safetensors")):
        try:
            return RESUMED, train_bundle(replace(options, resume=True)).bundle
        except CheckpointError:  # it is of another row, or broken
            pass
    return TRAINED, train_bundle(options).bundle


def _version_of(options: TrainOptions) -> Bundle | None:
    """The newest sound version that this row has made."""
    try:
        refs = list_bundles(options.out.parent, is_wanted=lambda path: options.out in (path, path.parent))
    except BundleError:
        return None
    for ref in reversed(refs):
        try:
            bundle = load(ref.path)
        except BundleError:
            continue
        if bundle.manifest.command == options.command:
            return bundle
    return None
