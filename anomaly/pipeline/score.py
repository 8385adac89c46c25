"""`anomaly score`: one row an image, in the order of the inputs; images stream through, whatever their number."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from anomaly.calibration import check_alpha, fdr_shortage, reject_fdr
from anomaly.data import LeftOut, Picture, decode, expand_inputs, heatmap_name, mark, read_all, restore_map, to_array
from anomaly.errors import ImageError, UsageError
from anomaly.inference import ALPHA, Detector, Evidence, load_detector
from anomaly.pipeline.results import ResultRow, Value, check_results_path, write_results
from anomaly.report import require

_CHUNK = 256
_MAX_STEM = 60  # characters of up to four bytes: with number and suffix within the 255 bytes of a file's name


@dataclass(frozen=True)
class ScoreSummary:
    """Rows written, rows with an error, images flagged, files left out in folders; and what too few normals prevent.

    That is a threshold (then no image has a verdict, and `num_anomalous` is None), or with `fdr` that any image could
    be flagged.
    """

    num_rows: int
    num_failed: int
    num_anomalous: int | None
    left_out: list[LeftOut]
    shortages: list[str]


def score_paths(
    model: Path,
    inputs: Sequence[str],
    out: Path,
    *,
    alpha: float = ALPHA,
    fdr: float | None = None,
    heatmaps: Path | None = None,
    device: str = "auto",
    on_total: Callable[[int], None] = lambda total: None,
    on_image: Callable[[], None] = lambda: None,
) -> ScoreSummary:
    """Write each image's score, or the reason why it has none, to `out`; heatmaps as PNGs into the folder `heatmaps`.

    `fdr`: also flag images so that the expected share of false ones among the flagged is at most this
    (Benjamini–Hochberg over all images of the call).

    Raises:
        UsageError: an option or `out` cannot be used, or heatmaps are asked for without the extra `report`.
        BundleError: the bundle cannot be used.
    """
    check_alpha(alpha)
    if fdr is not None and not 0.0 < fdr < 1.0:
        raise UsageError(f"fdr is the share of false alarms among the flagged, between 0 and 1; got {fdr:g}")
    check_results_path(out)
    if heatmaps is not None:
        require("drawing heatmaps")
        _make_folder(heatmaps)
    detector = load_detector(model, device=device)
    paths, left_out = expand_inputs(inputs)
    on_total(len(paths))
    num_failed = num_anomalous = 0

    def counted() -> Iterator[ResultRow]:
        nonlocal num_failed, num_anomalous
        for row in _rows(detector, paths, alpha, heatmaps):
            num_failed += row["error"] is not None
            num_anomalous += row.get("is_anomalous") is True
            on_image()
            yield row

    columns = {"path": str, "score": float, "p_value": float, "is_anomalous": bool, "threshold": float}
    columns |= dict.fromkeys(detector.bundle.manifest.terms, float)
    calibration = detector.calibration
    no_threshold = calibration.shortage(alpha)
    shortages = [no_threshold]
    if fdr is None:
        write_results(counted(), out, columns | {"error": str})
    else:
        rows = list(counted())
        p_values = np.array([p for row in rows if isinstance(p := row.get("p_value"), float)])
        write_results(_with_fdr(rows, p_values, fdr), out, columns | {"fdr_rejected": bool, "error": str})
        shortages.append(fdr_shortage(p_values, fdr, calibration.num_calibration))
    told = [shortage for shortage in shortages if shortage is not None]
    num_flagged = num_anomalous if no_threshold is None else None
    return ScoreSummary(len(paths), num_failed, num_flagged, left_out, told)


def _rows(detector: Detector, paths: Sequence[str], alpha: float, heatmaps: Path | None) -> Iterator[ResultRow]:
    stream = read_all(((path, Path(path)) for path in paths), detector.preprocess)
    for first in range(0, len(paths), _CHUNK):
        chunk = list(islice(stream, _CHUNK))
        readable = [image.pixels for image in chunk if isinstance(image, Picture)]
        scored: Iterator[dict[str, Value]] = iter(())
        if readable:
            pixels = np.stack(readable)
            evidence = detector.evidence(pixels)
            scored = _scored(detector, evidence, alpha)
            if heatmaps is not None:
                maps = detector.explain(pixels, evidence.z_hat).heatmap
                drawable = [
                    (number, paths[number], image)
                    for number, image in enumerate(chunk, start=first)
                    if isinstance(image, Picture)
                ]
                _draw_heatmaps(detector, drawable, maps, heatmaps)
        for path, image in zip(paths[first:], chunk, strict=False):
            result = next(scored) if isinstance(image, Picture) else {"error": str(image)}
            yield {"path": path, **result}


def _scored(detector: Detector, evidence: Evidence, alpha: float) -> Iterator[dict[str, Value]]:
    terms = zip(*(values.tolist() for values in evidence.terms.values()), strict=True)
    for score, values in zip(evidence.score.tolist(), terms, strict=True):
        verdict = detector.calibration.judge(score, alpha)
        yield {
            "score": score,
            "p_value": verdict.p_value,
            "is_anomalous": verdict.is_anomalous,
            "threshold": verdict.threshold,
            **dict(zip(evidence.terms, values, strict=True)),
            "error": None,
        }


def _draw_heatmaps(
    detector: Detector, images: Sequence[tuple[int, str, Picture]], maps: NDArray[np.float32], folder: Path
) -> None:
    """`folder`/NUMBER_NAME.png: each image with its heatmap over it, by its row's number from 0 and its path."""
    from anomaly.report.heat import overlay

    for (number, path, image), small in zip(images, maps, strict=True):
        heatmap = restore_map(small, detector.preprocess, image.height, image.width)
        with suppress(ImageError):  # a file that went away since it was scored has its row, but no picture
            original = to_array(decode(Path(path), name=path))
            picture = PIL.Image.fromarray(overlay(_to_rgb(original), heatmap))
            png = BytesIO()
            picture.save(png, "PNG")
            (folder / heatmap_name(number, Path(path).stem[:_MAX_STEM])).write_bytes(mark(png.getvalue()))


def _to_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


def _with_fdr(rows: Sequence[ResultRow], p_values: NDArray[np.float64], q: float) -> Iterator[ResultRow]:
    """Benjamini–Hochberg over all rows that have a p-value."""
    rejected = iter(reject_fdr(p_values, q).tolist())
    for row in rows:
        yield {**row, "fdr_rejected": None if row.get("p_value") is None else next(rejected)}


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write heatmaps into {folder} ({error}); choose another folder") from error
