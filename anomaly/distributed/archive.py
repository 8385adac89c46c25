"""`anomaly archive`: an archive of any size, shard by shard, by workers of this machine or of a Ray cluster.

DEST holds `_plan.json` from the beginning on, a Parquet file for each shard that is done, and `_manifest.json` when all
is done. The shard is the unit: to go on after whatever has happened is to run the same command again.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from anomaly.bundle import Bundle, check_outside_versions, load
from anomaly.calibration import check_alpha, check_fdr
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.defaults import ALPHA
from anomaly.distributed.others import OtherTables, other_tables
from anomaly.distributed.scoring import Mark, ScoringRecipe, mark_shard, open_scorer, score_shard
from anomaly.distributed.shards import Shard, list_shards
from anomaly.distributed.storage import Storage, absolute
from anomaly.distributed.tally import Tally
from anomaly.distributed.tasks import run_tasks
from anomaly.distributed.workers import Workers
from anomaly.errors import DataError, UsageError
from anomaly.extras import require
from anomaly.files import make_paths
from anomaly.locks import writing_folder

PLAN, MANIFEST = "_plan.json", "_manifest.json"


@dataclass(frozen=True)
class ArchiveOptions:
    """What the command line takes. `source` and `out` are paths or addresses (see `Storage`)."""

    model: Path
    source: str
    out: str
    workers: Workers = field(default_factory=Workers)
    alpha: float = ALPHA
    fdr: float | None = None
    device: str = "auto"
    engine: str = "auto"
    max_pixels: int = DEFAULT_LIMITS.max_pixels

    def __post_init__(self) -> None:
        """Paths may be given as texts."""
        make_paths(self, "model")

    @property
    def recipe(self) -> ScoringRecipe:
        """What of it changes rows."""
        return ScoringRecipe(self.alpha, self.max_pixels, self.device, self.engine)


@dataclass(frozen=True)
class ArchiveSummary:
    """What was counted, the p-value up to which `fdr` flags images, and what too few normals prevent.

    `num_anomalous` is None where there is no threshold, so that no image has a verdict. `others` are tables in DEST
    that are no results of SRC.
    """

    tally: Tally
    num_anomalous: int | None
    mark: Mark | None
    shortages: tuple[str, ...]
    others: OtherTables


def score_archive(
    options: ArchiveOptions,
    *,
    on_total: Callable[[int], None] = lambda num_shards: None,
    on_shard: Callable[[Tally], None] = lambda tally: None,
    on_marking: Callable[[], None] = lambda: None,
    on_marked: Callable[[], None] = lambda: None,
) -> ArchiveSummary:
    """Score what is not done, and write the manifest last.

    A shard that cannot be scored is among the failed of the tally, and in the manifest.

    Raises:
        UsageError: an option cannot be used, or DEST lies within SRC or a version of a model.
        DataError: SRC has no shards.  BundleError: the bundle cannot be used.
        ClusterError: there are no workers.  InUseError: another process writes into DEST (on a disk).
        StorageError: DEST cannot be written.
    """
    options = replace(options, source=absolute(options.source), out=absolute(options.out))
    options = replace(options, alpha=check_alpha(options.alpha), fdr=check_fdr(options.fdr))
    require("an archive", "parquet", "pyarrow")
    check_apart(options.source, options.out)
    if "://" not in options.out:
        check_outside_versions(Path(options.out))
    bundle = load(options.model)
    num_shards = sum(1 for _ in list_shards(options.source))
    if not num_shards:
        raise DataError(f"{options.source} has no shards: no images, and neither .tar nor .parquet files")
    destination = Storage(options.out)
    with _writing(destination):
        destination.delete(MANIFEST)
        plan = plan_of(bundle, options)
        destination.write(PLAN, to_json(plan))
        on_total(num_shards)
        tally = score_shards(bundle, options, list_shards(options.source), on_shard)
        mark = Mark(options.fdr, tally.p_values.threshold(options.fdr)) if options.fdr is not None else None
        if mark is not None or tally.has_marks:
            on_marking()
            _mark_all(options, mark, tally, on_marked)
        others = other_tables(destination, _with_results(options.source, tally))
        no_threshold = bundle.contents.calibration.shortage(options.alpha)
        num_anomalous = tally.num_anomalous if no_threshold is None else None
        counts = counts_of(tally, mark) | {"num_anomalous": num_anomalous, "num_other_tables": others.num}
        destination.write(MANIFEST, to_json(plan | counts))
    shortages = [no_threshold]
    shortages += [tally.p_values.shortage(options.fdr)] if options.fdr is not None else []
    said = tuple(shortage for shortage in shortages if shortage is not None)
    return ArchiveSummary(tally, num_anomalous, mark, said, others)


def score_shards(
    bundle: Bundle, options: ArchiveOptions, shards: Iterator[Shard], on_shard: Callable[[Tally], None]
) -> Tally:
    """The first pass: each shard is scored, or found done."""
    tally = Tally(bundle.contents.calibration.num_calibration)
    initialise = partial(open_scorer, bundle, options.recipe, Storage(options.out))
    for outcome in run_tasks(score_shard, shards, initialise=initialise, workers=options.workers):
        tally.add(outcome)
        on_shard(tally)
    return tally


def plan_of(bundle: Bundle, options: ArchiveOptions) -> dict[str, Any]:
    """What is to be done, for who looks at DEST: with what, and of what."""
    return {
        "model": str(bundle.ref.path.resolve()),
        "digest": bundle.digest,
        "source": options.source,
        "recipe": asdict(options.recipe),
        "fdr": options.fdr,
    }


def counts_of(tally: Tally, mark: Mark | None) -> dict[str, Any]:
    """What was found, for the manifest."""
    return {
        "num_shards": tally.num_shards,
        "num_shards_failed": tally.num_shards_failed,
        "num_rows": tally.num_rows,
        "num_failed": tally.num_failed,
        "num_left_out": tally.num_left_out,
        "fdr_p_value": mark.p_value if mark else None,
        "errors": dict(sorted(tally.errors.items())),
        "failed_shards": dict(sorted(tally.failed.items())),
    }


def to_json(content: dict[str, Any]) -> bytes:
    """The bytes of a file with this content."""
    return json.dumps(content, indent=2, allow_nan=False).encode() + b"\n"


def check_apart(source: str, out: str) -> None:
    """Raises UsageError where DEST is SRC or lies within it: its files would be taken for shards."""
    both = [address if "://" in address else str(Path(address).resolve()) for address in (source, out)]
    source, out = (address.partition("?")[0].rstrip("/") for address in both)
    if f"{out}/".startswith(f"{source}/"):
        raise UsageError(f"DEST {out} lies within SRC {source}, and would be scored next time; choose another folder")


def _with_results(source: str, tally: Tally) -> Iterator[Shard]:
    """The shards of SRC without those that are known to have failed."""
    return (shard for shard in list_shards(source) if shard.name not in tally.failed)


def _mark_all(options: ArchiveOptions, mark: Mark | None, tally: Tally, on_marked: Callable[[], None]) -> None:
    """The second pass, over files of results only."""
    destination = Storage(options.out)
    shards = _with_results(options.source, tally)
    mark_one = partial(mark_shard, mark)
    for outcome in run_tasks(mark_one, shards, initialise=partial(Storage, options.out), workers=options.workers):
        if outcome.error is not None and destination.look(outcome.item.result) is not None:
            tally.num_shards_failed += 1
            tally.failed[outcome.item.name] = outcome.error
        on_marked()


@contextmanager
def _writing(destination: Storage) -> Iterator[None]:
    """On a disk there is one writer at a time. Object stores have no locks; equal commands write equal files there."""
    if not destination.is_local:
        yield
        return
    with writing_folder(destination.local(), "the results of an archive"):
        destination.clean()
        try:
            yield
        finally:
            destination.clean()  # of workers that have ended
