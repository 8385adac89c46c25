"""One shard: scored, and its rows written as one Parquet file; or found to be done.

What decides about the rows is in the metadata of the file: the digest of the bundle, the fingerprint of the input, and
the options. A shard is done where a file says what is wanted, with the columns that are written now, and the input has
not changed since it was written, by the times of both. A file whose input is of the future, as where another machine's
clock is ahead, is told to be as new as that; an object store does not take times, so there it is done again.
A file holds nothing else than depends on these: no time, no machine, no address. So it is the same, byte for byte,
whoever writes it, and from wherever the same shard is read.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from typing import Any

import numpy as np

from anomaly.bundle import Bundle
from anomaly.calibration import PValueCounts
from anomaly.data import Limits, Remarks
from anomaly.distributed.reading import images_of
from anomaly.distributed.shards import InputState, Shard, state_of
from anomaly.distributed.storage import Storage
from anomaly.errors import DataError
from anomaly.inference.loading import detector_of
from anomaly.pipeline.results import ResultRow, write_parquet
from anomaly.pipeline.score import Reading, columns_of, score_rows

KEY = "anomaly"
"""Of the metadata."""

MAX_KINDS = 20


@dataclass(frozen=True)
class ScoringRecipe:
    """What changes rows beside the bundle and the image."""

    alpha: float
    max_pixels: int
    device: str = "auto"
    engine: str = "auto"


@dataclass(frozen=True)
class Mark:
    """The column `fdr_rejected`: images of at most this p-value are flagged at the false-discovery rate q."""

    q: float
    p_value: float


@dataclass(frozen=True)
class ShardSummary:
    """Counts of a shard's rows: all, with an error, anomalous; how many have each p-value k / (n_cal + 1).

    `num_scored` of them are new; the others were done before. `mark` is what its column `fdr_rejected` is for.
    `num_left_out` files of a folder have an image's suffix, and are masks or pictures that this program has drawn.
    `remarks` say of how many of the new ones what is true of their files.
    """

    num_rows: int
    num_failed: int
    num_anomalous: int
    num_scored: int
    p_value_counts: dict[int, int]
    errors: dict[str, int] = field(default_factory=dict)
    mark: Mark | None = None
    num_left_out: int = 0
    remarks: Remarks = field(default_factory=Remarks)


@dataclass(frozen=True)
class ShardScorer:
    """What a worker needs, made once."""

    reading: Reading
    digest: str
    recipe: ScoringRecipe
    destination: Storage

    @property
    def num_calibration(self) -> int:
        """n_cal."""
        return self.reading.detector.calibration.num_calibration


def open_scorer(bundle: Bundle, recipe: ScoringRecipe, destination: Storage) -> ShardScorer:
    """With a detector on the bundle, whose golden images are scored again here. Raises as `load_detector` does."""
    detector = detector_of(bundle, device=recipe.device, engine=recipe.engine)
    reading = Reading(detector, Limits.for_pixels(recipe.max_pixels), num_threads=1)
    return ShardScorer(reading, bundle.digest, recipe, destination)


def score_shard(scorer: ShardScorer, shard: Shard) -> ShardSummary:
    """Score a shard that is not done.

    Raises:
        DataError: the shard is damaged, has changed while it was read, or another's table has the name of its results;
            nothing is written.
        StorageError: the results cannot be written.
    """
    before = state_of(shard)
    wanted = describe(scorer.digest, before.fingerprint, scorer.recipe)
    columns = columns_of(scorer.reading.detector)
    found = scorer.destination.look(shard.result)
    if found is not None:
        with scorer.destination.open(shard.result) as file:
            schema = _schema_of(file)
            said = _said_in(schema)
            is_wanted = said is not None and said["of"] == wanted and _columns_in(schema) == list(columns)
            if is_wanted and found.modified_ns >= before.modified_ns:
                file.seek(0)
                return _with_left_out(summary_of(file, scorer.num_calibration, is_new=False), before)
            if said is None and schema is not None:
                raise DataError(
                    f"{shard.result} in {scorer.destination} is a table that this command has not written, so it is "
                    "not replaced: move it away, or give another --out"
                )
        scorer.destination.delete(shard.result)  # of another input or model: it may not stay if this one fails
    data = BytesIO()
    scorer.reading.remarks = Remarks()
    rows = score_rows(scorer.reading, images_of(shard, scorer.reading.limits), scorer.recipe.alpha)
    write_parquet(rows, data, columns, metadata_of(wanted, None))
    if state_of(shard) != before:
        raise DataError(f"{shard.name}: the shard has changed while it was read; run the command again")
    scorer.destination.write(shard.result, data.getvalue(), not_before_ns=before.modified_ns)
    data.seek(0)
    summary = replace(summary_of(data, scorer.num_calibration, is_new=True), remarks=scorer.reading.remarks)
    return _with_left_out(summary, before)


def _with_left_out(summary: ShardSummary, state: InputState) -> ShardSummary:
    """What is not left out of a folder has a row."""
    return summary if state.num_files is None else replace(summary, num_left_out=state.num_files - summary.num_rows)


def mark_shard(mark: Mark | None, destination: Storage, shard: Shard) -> None:
    """Set the column `fdr_rejected` of results, or take it away. Nothing is written where it is so already."""
    from pyarrow import parquet

    before = destination.look(shard.result)
    with destination.open(shard.result) as file:
        said = said_by(file)
        assert said is not None, "it was written by `score_shard`"
        if said["fdr"] == (asdict(mark) if mark else None):
            return
        file.seek(0)
        table = parquet.read_table(file)
    kinds = {"string": str, "double": float, "bool": bool}
    columns = {f.name: kinds[str(f.type)] for f in table.schema if f.name not in ("error", "fdr_rejected")}
    columns |= {"fdr_rejected": bool} if mark else {}

    def rows() -> Iterator[ResultRow]:
        for batch in table.to_batches():
            for row in batch.to_pylist():
                p_value = row["p_value"]
                row["fdr_rejected"] = None if p_value is None or mark is None else p_value <= mark.p_value
                yield row

    data = BytesIO()
    write_parquet(rows(), data, columns | {"error": str}, metadata_of(said["of"], mark))
    destination.write(shard.result, data.getvalue(), not_before_ns=0 if before is None else before.modified_ns)


def describe(digest: str, fingerprint: str, recipe: ScoringRecipe) -> dict[str, Any]:
    """What a file of results says that it is of."""
    return {"digest": digest, "input": fingerprint, **asdict(recipe)}


def metadata_of(described: dict[str, Any], mark: Mark | None) -> dict[str, str]:
    """The metadata of a file of results: what it is of, and what its column `fdr_rejected` is for."""
    said = {"of": described, "fdr": asdict(mark) if mark else None}
    return {KEY: json.dumps(said, sort_keys=True)}


def said_by(file: Any) -> dict[str, Any] | None:
    """What a file says that it is of; None where it is no file of results, or damaged."""
    return _said_in(_schema_of(file))


def _schema_of(file: Any) -> Any:
    """That of a file which is whole Parquet, whatever is in it; else None."""
    from pyarrow import ArrowException, parquet

    try:
        return parquet.read_schema(file)
    except (ArrowException, OSError, ValueError):
        return None


def _said_in(schema: Any) -> dict[str, Any] | None:
    try:
        said = json.loads(schema.metadata[KEY.encode()])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return said if isinstance(said, dict) and said.keys() == {"of", "fdr"} else None


def _columns_in(schema: Any) -> list[str]:
    """Without that of the mark. An older version of anomaly may have written others."""
    return [name for name in schema.names if name != "fdr_rejected"]


def summary_of(file: Any, num_calibration: int, *, is_new: bool) -> ShardSummary:
    """Count the rows of a file of results."""
    from pyarrow import compute, parquet

    table = parquet.ParquetFile(file)
    said = json.loads(table.schema_arrow.metadata[KEY.encode()])
    columns = table.read(["path", "p_value", "is_anomalous", "error"])
    p_values = columns["p_value"].drop_null().to_numpy()
    failed = columns.filter(compute.is_valid(columns["error"]))
    kinds = Counter(
        kind_of_error(error, path)
        for path, error in zip(failed["path"].to_pylist(), failed["error"].to_pylist(), strict=True)
    )
    return ShardSummary(
        num_rows=columns.num_rows,
        num_failed=failed.num_rows,
        num_anomalous=int(np.count_nonzero(columns["is_anomalous"].drop_null().to_numpy(zero_copy_only=False))),
        num_scored=columns.num_rows if is_new else 0,
        p_value_counts=PValueCounts.of(p_values, num_calibration),
        errors=dict(kinds.most_common(MAX_KINDS)),
        mark=Mark(**said["fdr"]) if said["fdr"] else None,
    )


def kind_of_error(error: str, path: str) -> str:
    """What several errors have in common: the sentence without the name, up to its first particulars."""
    said = error.removeprefix(path).lstrip(": ")
    ends = [place for mark in "(;,:0123456789" if (place := said.find(mark)) > 0]
    return said[: min(ends, default=len(said))].strip()
