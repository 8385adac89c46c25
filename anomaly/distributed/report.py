"""`anomaly archive --report DEST`: one page on an archive that is done, from its files of results.

Takes the same memory however many images there are. Only the strangest images are read again, from SRC.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anomaly.calibration import spread_below
from anomaly.counted import counted
from anomaly.data import Limits, Picture, decode, read, restore_map, to_array, to_channels_last, to_pixels, together
from anomaly.distributed.archive import MANIFEST
from anomaly.distributed.reading import images_of
from anomaly.distributed.shards import Shard, list_shards
from anomaly.distributed.status import read_json, read_plan
from anomaly.distributed.storage import Storage, absolute
from anomaly.errors import AnomalyError, DataError, ImageError
from anomaly.evaluation import Example
from anomaly.inference import Detector, load_detector
from anomaly.report import require_report
from anomaly.scoring import strongest_place

if TYPE_CHECKING:
    from anomaly.report.archive_page import FlaggedShard
    from anomaly.report.page import ShownExample

PAGE = "_report.html"
NUM_STRANGEST, NUM_SHARDS = 100, 50
_BINS = 40


@dataclass(frozen=True, order=True)
class _Strange:
    """One of the images with the highest scores; `row` is its place in its shard, from 0."""

    score: float
    p_value: float
    path: str
    row: int
    shard: Shard = field(compare=False)
    is_flagged: bool = field(compare=False)


class _Bins:
    """Counts of values in bins of equal width."""

    def __init__(self, low: float, high: float) -> None:
        self.edges = np.linspace(low, high, _BINS + 1)
        self.counts = np.zeros(_BINS, dtype=np.int64)
        self.below = self.above = 0

    def add(self, values: NDArray[np.float64]) -> None:
        self.counts += np.histogram(values, self.edges)[0]
        self.below += int((values < self.edges[0]).sum())
        self.above += int((values > self.edges[-1]).sum())


class _Overview:
    """What is kept of all shards, however many images they have; `column` of their results says which are flagged."""

    def __init__(self, scores: _Bins, *, smallest_p: float, column: str) -> None:
        self.scores = scores
        self.p_values, self.shares = _Bins(0.0, 1.0), _Bins(0.0, 1.0)
        self.strangest: list[_Strange] = []
        self.flagged: list[tuple[float, str, FlaggedShard]] = []
        self.num_flagged = 0
        self._num_scored = 0
        self._smallest_p = smallest_p
        self._column = column

    def add(self, shard: Shard, table: Any) -> None:
        """Take the results of one shard."""
        from anomaly.report.archive_page import FlaggedShard  # here: the page is drawn by an extra's libraries

        scored = table.filter(table["score"].is_valid())
        found = FlaggedShard(shard.name, len(scored), scored[self._column].to_pylist().count(True))
        numbers = self._num_scored + np.arange(float(found.num_scored))
        self.scores.add(scored["score"].to_numpy())
        self.p_values.add(spread_below(scored["p_value"].to_numpy(), self._smallest_p, numbers))
        self.strangest = heapq.nlargest(NUM_STRANGEST, [*self.strangest, *_strangest_of(shard, table, self._column)])
        self._num_scored += found.num_scored
        self.num_flagged += found.num_flagged
        if found.num_scored:
            self.shares.add(np.array([found.share]))
            self.flagged = heapq.nlargest(NUM_SHARDS, [*self.flagged, (found.share, shard.name, found)])


def report_archive(out: str, *, model: Path | None = None, device: str = "auto", engine: str = "auto") -> str:
    """Write DEST/_report.html, and return where it is.

    `model` is needed where the bundle is no longer where it was.

    Raises:
        DataError: DEST is not of a run that has ended, or has other results than its manifest says.
        BundleError: the bundle cannot be used.  UsageError: the extra `report` is missing.
        StorageError: DEST cannot be written.
    """
    require_report("the report of an archive")
    from anomaly.report.archive_page import ArchiveFindings, BinnedCounts, render_archive
    from anomaly.report.histogram import visible_range
    from anomaly.report.page import show_example

    destination = Storage(absolute(out))
    read_plan(destination)
    if destination.look(MANIFEST) is None:
        raise DataError(f"the run that writes {destination} has not ended: there is no {MANIFEST}; run it to its end")
    manifest = read_json(destination, MANIFEST)
    detector = load_detector(model or manifest["model"], device=device, engine=engine)
    if detector.bundle.digest != manifest["digest"]:
        raise DataError(
            f"the bundle {detector.bundle.ref.path} is not the one that scored {destination}; give that one as MODEL"
        )
    calibration, alpha = detector.calibration, manifest["recipe"]["alpha"]
    threshold = calibration.threshold(alpha)
    ends = _extremes(destination, manifest["source"])
    shown = np.concatenate([calibration.scores, ends])
    seen = _Overview(
        _Bins(*visible_range(shown, np.arange(len(shown)) >= len(calibration.scores), threshold)),
        smallest_p=calibration.smallest_p,
        column="is_anomalous" if manifest["fdr"] is None else "fdr_rejected",
    )
    for shard, table in _results(destination, manifest["source"]):
        seen.add(shard, table)
    limits = Limits.for_pixels(manifest["recipe"]["max_pixels"])
    examples, unreadable = _examples(detector, seen.strangest, limits, show_example)
    binned = [BinnedCounts(b.edges, b.counts, b.below, b.above) for b in (seen.scores, seen.p_values, seen.shares)]
    page = render_archive(
        ArchiveFindings(
            model=f"{detector.bundle.name}/{detector.bundle.version}",
            manifest=manifest,
            threshold=threshold,
            flagged_by=_flagged_by(manifest["fdr"], alpha, threshold, calibration.num_calibration),
            num_flagged=seen.num_flagged,
            scores=binned[0],
            p_values=binned[1],
            shares=binned[2],
            shards=[found for _, _, found in seen.flagged],
            strangest=examples,
            unreadable=unreadable,
        )
    )
    destination.write(PAGE, page.encode("utf-8", errors="backslashreplace"))
    return f"{destination}/{PAGE}"


def _flagged_by(fdr: float | None, alpha: float, threshold: float | None, num_calibration: int) -> str:
    """What flags images; or that nothing can, and why."""
    if fdr is not None:
        return f"FDR {fdr:g}"
    if threshold is None:
        few = counted(num_calibration, "calibration image is", "calibration images are")
        return f"no threshold, {few} too few for a false-alarm rate of {alpha:g}"
    return f"false-alarm rate {alpha:g}"


def _extremes(destination: Storage, source: str) -> NDArray[np.float64]:
    """The lowest and the highest score; none where no image has one."""
    ends = np.empty(0)
    for _, table in _results(destination, source, ["score"]):
        own = np.concatenate([ends, table["score"].drop_null().to_numpy()])
        ends = np.array([own.min(), own.max()]) if len(own) else own
    return ends


def _results(destination: Storage, source: str, columns: list[str] | None = None) -> Iterator[tuple[Shard, Any]]:
    """Each shard that has results, with them, or with some of their columns."""
    from pyarrow import parquet

    for shard in list_shards(source):
        if destination.look(shard.result) is not None:
            with destination.open(shard.result) as file:
                yield shard, parquet.read_table(file, columns=columns)


def _strangest_of(shard: Shard, table: Any, column: str) -> list[_Strange]:
    """Of one shard; `column` says which images are flagged."""
    scores = table["score"].to_numpy()  # NaN where there is none
    rows = np.argsort(-scores, kind="stable")[:NUM_STRANGEST]
    paths, p_values, flagged = table["path"], table["p_value"], table[column]
    return [
        _Strange(
            score=float(scores[row]),
            p_value=p_values[row].as_py(),
            path=paths[row].as_py(),
            row=row,
            shard=shard,
            is_flagged=flagged[row].as_py() is True,
        )
        for row in rows.tolist()
        if not np.isnan(scores[row])
    ]


def _examples(
    detector: Detector, strangest: list[_Strange], limits: Limits, show: "Callable[..., ShownExample]"
) -> tuple[list["ShownExample"], list[tuple[str, str]]]:
    """The images with their heatmaps, highest score first; and those that cannot be read again, with the reasons.

    Each is drawn at once: at full size they would be too much for memory.
    """
    examples: list[ShownExample] = []
    unreadable: list[tuple[str, str]] = []
    by_shard = sorted(strangest, key=lambda strange: (strange.shard.name, strange.row))
    for _, group in groupby(by_shard, key=lambda strange: strange.shard.name):
        wanted = {strange.row: strange for strange in group}
        shard = next(iter(wanted.values())).shard
        try:
            for row, (name, source) in enumerate(images_of(shard, limits)):
                if row in wanted:
                    strange = wanted.pop(row)
                    try:
                        assert isinstance(source, bytes), "it had a score"
                        example = _example(detector, strange, source, limits)
                        examples.append(show(example, is_alarm=strange.is_flagged))
                    except ImageError as error:
                        unreadable.append((name, str(error)))
        except AnomalyError as error:
            unreadable += [(strange.path, str(error)) for strange in wanted.values()]
    return sorted(examples, key=lambda shown: -shown.score), unreadable


def _example(detector: Detector, strange: _Strange, data: bytes, limits: Limits) -> Example:
    config = detector.preprocess
    picture: Picture = read(data, config, name=strange.path, limits=limits)
    pixels = together([picture.pixels], config)
    _, explanation = detector.examine(pixels)
    original = to_array(decode(data, name=strange.path, limits=limits, value_range=config.range))
    heatmap = restore_map(explanation.heatmap[0], config, *original.shape[:2])
    return Example(
        group="",
        path=strange.path,
        kind="",
        score=strange.score,
        p_value=strange.p_value,
        image=original,
        reconstruction=None if explanation.x_hat is None else to_channels_last(to_pixels(explanation.x_hat[0])),
        heatmap=heatmap.clip(0, 1),
        strongest=strongest_place(heatmap),
        standardised={},
        mask=None,
    )
