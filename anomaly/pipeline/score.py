"""`anomaly score`: one row for each image, in the order of the inputs; images stream through, whatever their number."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import check_outside_versions
from anomaly.calibration import check_alpha, check_fdr, fdr_shortage, reject_fdr
from anomaly.data import (
    LeftOut,
    Limits,
    Named,
    Picture,
    Remarks,
    chunk_size,
    expand_inputs,
    read_all,
    together,
)
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.defaults import ALPHA, MAX_REASONS
from anomaly.inference import Detector, load_detector
from anomaly.locks import writing_file, writing_folder
from anomaly.pipeline.heatmaps import Drawable, HeatmapFolder
from anomaly.pipeline.other_sizes import OtherSizes
from anomaly.pipeline.results import (
    ResultRow,
    Value,
    check_old_results,
    check_results_path,
    notes_on_names,
    write_results,
)
from anomaly.report import require_report


@dataclass(frozen=True)
class ScoreSummary:
    """Rows written, rows with an error, images flagged, files left out in folders; and what too few normals prevent.

    That is a threshold (then no image has a verdict, and `num_anomalous` is None), or with `fdr` that any image could
    be flagged. `reasons` are the first of those errors. `remarks` are sentences on how files were read, and how the
    results have names that they cannot have as they are.
    """

    num_rows: int
    num_failed: int
    num_anomalous: int | None
    left_out: list[LeftOut]
    shortages: list[str]
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def score_paths(
    model: str | Path,
    inputs: Sequence[str],
    out: str | Path,
    *,
    alpha: float = ALPHA,
    fdr: float | None = None,
    heatmaps: str | Path | None = None,
    device: str = "auto",
    engine: str = "auto",
    max_pixels: int = DEFAULT_LIMITS.max_pixels,
    on_total: Callable[[int], None] = lambda total: None,
    on_image: Callable[[], None] = lambda: None,
) -> ScoreSummary:
    """Write each image's score, or the reason why it has none, to `out`; heatmaps as PNGs into the folder `heatmaps`.

    Larger images than `max_pixels` get a reason. `fdr`: also flag images so that the expected share of false ones among
    the flagged is at most this (Benjamini–Hochberg over all images of the call).

    Raises:
        UsageError: an option or `out` cannot be used, a file that is no earlier result would be replaced, or heatmaps
            are asked for without the extra `report`.
        BundleError: the bundle cannot be used.
        InUseError: another process writes `out`, or into `heatmaps`.  StorageError: they cannot be written.
    """
    alpha, fdr = check_alpha(alpha), check_fdr(fdr)
    out, heatmaps = Path(out), None if heatmaps is None else Path(heatmaps)
    check_results_path(out)
    check_old_results(out)
    if heatmaps is not None:
        check_outside_versions(heatmaps)
        require_report("drawing heatmaps")
    paths, left_out = expand_inputs(inputs)  # before anything is made, which may be inside of a folder to score
    drawing = nullcontext() if heatmaps is None else writing_folder(heatmaps, "heatmaps")
    with writing_file(out, "the results"), drawing:
        detector, limits = load_detector(model, device=device, engine=engine), Limits.for_pixels(max_pixels)
        reading, calibration = Reading(detector, limits), detector.calibration
        on_total(len(paths))
        drawn = None if heatmaps is None else HeatmapFolder(heatmaps, detector.preprocess, limits, paths)
        counts = _RowCounts(on_image)
        rows = counts.of(score_rows(reading, ((path, Path(path)) for path in paths), alpha, drawn))
        no_threshold, none_flagged = calibration.shortage(alpha), None
        if fdr is not None:
            scored = list(rows)
            p_values = np.array([p for row in scored if isinstance(p := row.get("p_value"), float)])
            rows = _with_fdr(scored, p_values, fdr)
            none_flagged = fdr_shortage(p_values, fdr, calibration.num_calibration)
        write_results(rows, out, columns_of(detector, has_heatmaps=drawn is not None, has_fdr=fdr is not None))
        remarks = [*reading.remarks.sentences(), *reading.other_sizes.remarks(), *notes_on_names(paths, out)]
        return ScoreSummary(
            num_rows=len(paths),
            num_failed=counts.num_failed,
            num_anomalous=counts.num_anomalous if no_threshold is None else None,
            left_out=list(left_out),
            shortages=[shortage for shortage in (no_threshold, none_flagged) if shortage is not None],
            reasons=tuple(counts.reasons),
            remarks=(*remarks, *(drawn.remarks() if drawn else [])),
        )


@dataclass
class _RowCounts:
    """What is counted of the rows of a run; `on_image` is called for each."""

    on_image: Callable[[], None]
    num_failed: int = 0
    num_anomalous: int = 0
    reasons: list[str] = field(default_factory=list)

    def of(self, rows: Iterable[ResultRow]) -> Iterator[ResultRow]:
        """The rows, each counted as it passes."""
        for row in rows:
            if (error := row["error"]) is not None:
                self.num_failed += 1
                if self.num_failed <= MAX_REASONS:
                    self.reasons.append(str(error))
            self.num_anomalous += row.get("is_anomalous") is True
            self.on_image()
            yield row


@dataclass
class Reading:
    """The detector, how large pictures may be, and what is to be said of those that were read.

    `num_threads` are those that decode (see `read_all`).
    """

    detector: Detector
    limits: Limits
    num_threads: int | None = None
    remarks: Remarks = field(default_factory=Remarks)
    other_sizes: OtherSizes = field(init=False)

    def __post_init__(self) -> None:
        self.other_sizes = OtherSizes(self.detector)


def columns_of(detector: Detector, *, has_heatmaps: bool = False, has_fdr: bool = False) -> dict[str, type]:
    """The columns of result rows, in order. `warning` says why a row may not hold for all of the picture."""
    columns: dict[str, type] = {"path": str, "score": float, "p_value": float, "is_anomalous": bool, "threshold": float}
    columns |= dict.fromkeys(detector.bundle.manifest.terms, float)
    columns |= {"warning": str} | ({"heatmap": str} if has_heatmaps else {})
    columns |= {"fdr_rejected": bool} if has_fdr else {}
    return columns | {"error": str}


def score_rows(
    reading: Reading, sources: Iterable[Named], alpha: float, heatmaps: HeatmapFolder | None = None
) -> Iterator[ResultRow]:
    """One row for each image, in order: its name is the path. Heatmaps are drawn into that folder; the rows name them.

    Images are scored in the same chunks whoever calls, so that their rows are the same to the last bit.
    """
    detector = reading.detector
    ahead: deque[Named] = deque()  # read, but without a row yet

    def noted() -> Iterator[Named]:
        for name, source in sources:
            # bytes may be large, and only a heatmap needs them again
            ahead.append((name, b"" if heatmaps is None else source))
            yield name, source

    stream = read_all(noted(), detector.preprocess, limits=reading.limits, workers=reading.num_threads)
    number = 0
    while chunk := list(islice(stream, chunk_size(detector.preprocess))):
        pictures = [image for image in chunk if isinstance(image, Picture)]
        for picture in pictures:
            reading.remarks.add(picture.name, picture.remarks)
        judged = _judged(detector, pictures, alpha, with_heatmaps=heatmaps is not None)
        for image in chunk:
            name, source = ahead.popleft()
            if isinstance(image, Picture):
                row, heatmap = next(judged)
                warnings = (reading.other_sizes.add(name, image.height, image.width), image.unseen)
                if heatmaps is not None and heatmap is not None:
                    drawable = Drawable(number, name, source, image, row["is_anomalous"] is True)
                    row["heatmap"] = heatmaps.draw(drawable, heatmap)
                yield {"path": name, **row, "warning": "; ".join(filter(None, warnings)) or None}
            else:
                yield {"path": name, "error": str(image)}
            number += 1


def _judged(
    detector: Detector, pictures: Sequence[Picture], alpha: float, *, with_heatmaps: bool
) -> Iterator[tuple[dict[str, Value], NDArray[np.float32] | None]]:
    """What each picture's row says of its evidence, and its heatmap as the model makes it, if asked for."""
    if not pictures:
        return
    pixels = together([picture.pixels for picture in pictures], detector.preprocess)
    heatmaps: Sequence[NDArray[np.float32] | None] = [None] * len(pictures)
    if with_heatmaps:
        evidence, explanation = detector.examine(pixels)
        heatmaps = explanation.heatmap
    else:
        evidence = detector.evidence(pixels)
    terms = zip(*(values.tolist() for values in evidence.terms.values()), strict=True)
    for score, values, heatmap in zip(evidence.score.tolist(), terms, heatmaps, strict=True):
        verdict = detector.calibration.judge(score, alpha)
        row: dict[str, Value] = {
            "score": score,
            "p_value": verdict.p_value,
            "is_anomalous": verdict.is_anomalous,
            "threshold": verdict.threshold,
            **dict(zip(evidence.terms, values, strict=True)),
            "error": None,
        }
        yield row, heatmap


def _with_fdr(rows: Sequence[ResultRow], p_values: NDArray[np.float64], q: float) -> Iterator[ResultRow]:
    """Benjamini–Hochberg over all rows that have a p-value."""
    rejected = iter(reject_fdr(p_values, q).tolist())
    for row in rows:
        yield {**row, "fdr_rejected": None if row.get("p_value") is None else next(rejected)}
