"""A report folder: `metrics.json`, `scores.csv`, `roc.png` and `report.html`.

Each file is written beside its place and renamed into it when all are written, so that a reader never sees half of one,
and a disk that is full leaves none.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from anomaly.bundle import check_outside_versions
from anomaly.calibration import is_above
from anomaly.data import DRAWINGS, mark
from anomaly.data.files.outputs import is_marked
from anomaly.evaluation import Evaluation, metrics_of
from anomaly.evaluation.summary import Summary
from anomaly.files import check_replaceable, replacing, storing
from anomaly.report.page import render_page
from anomaly.report.plots import roc_png

REPORT_FILES = ("metrics.json", "scores.csv", "roc.png", "report.html")
_SCORES = ("path", "label", "kind", "score", "p_value", "is_anomalous")
_EYEBROW = '<p class="eyebrow">Evaluation · '.encode()  # of the page


def write_report(evaluation: Evaluation, summary: Summary, out: Path) -> None:
    """Write the report into the folder `out`, which is made where it is missing.

    Raises as `write_folder` does.
    """
    contents = {
        "metrics.json": json.dumps(metrics_of(evaluation, summary), indent=2, allow_nan=False).encode() + b"\n",
        "scores.csv": scores_csv(evaluation),
        "roc.png": roc_png(evaluation.images.scores, evaluation.images.labels, evaluation.threshold),
        "report.html": _encode(render_page(evaluation, summary)),
    }
    write_folder(contents, out)


def write_folder(contents: Mapping[str, bytes], out: Path) -> None:
    """Write files by their names into the folder `out`, which is made where it is missing.

    Pictures are marked, so that they are not taken for data where `out` lies within the data.

    Raises:
        UsageError: a file of such a name is there that is none of this program's.
        StorageError: `out` cannot be written.
    """
    check_report_folder(out, contents)
    num_bytes = sum(map(len, contents.values()))
    with storing(", ".join(contents), out, num_bytes=num_bytes, instead="give another --out"), ExitStack() as stack:
        out.mkdir(parents=True, exist_ok=True)
        works = {name: stack.enter_context(replacing(out / name)) for name in contents}
        for name, work in works.items():
            work.write_bytes(mark(contents[name]) if name in DRAWINGS else contents[name])


def check_report_folder(out: Path, names: Iterable[str]) -> None:
    """Raises UsageError where `out` has another's file of one of these names, or lies in a version of a model."""
    check_outside_versions(out)
    for name in names:
        check_replaceable(out / name, _is_earlier, "of an earlier run of this command")


def _is_earlier(path: Path) -> bool:
    content = path.read_bytes()
    match path.name:
        case "metrics.json":
            try:
                said = json.loads(content)
            except ValueError:
                return False
            return isinstance(said, dict) and {"model", "digest", "auroc"} <= said.keys()
        case "scores.csv":
            return content.startswith(",".join(_SCORES).encode())
        case "report.html":
            return _EYEBROW in content
        case _:
            return is_marked(content)


def scores_csv(evaluation: Evaluation) -> bytes:
    """One row for each scored image, in the order given; `is_anomalous` is empty where no threshold is in force.

    Where the data set has masks, `mask_error` is the reason why an image's mask could not be used, or empty.

    File names are written as they are, also such as begin with = + - or @, which a spreadsheet may take for a formula:
    a changed name would not be found again.
    """
    images = evaluation.images
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    mask_errors = None if evaluation.pixel is None else dict(evaluation.pixel.failures)
    last = [] if mask_errors is None else ["mask_error"]
    writer.writerow([*_SCORES, *images.terms, *last])
    threshold = evaluation.threshold
    for i, path in enumerate(images.paths):
        score = float(images.scores[i])
        writer.writerow(
            [
                path,
                "anomalous" if images.labels[i] else "normal",
                images.kinds[i],
                score,
                float(images.p_values[i]),
                None if threshold is None else is_above(score, threshold),
                *(float(values[i]) for values in images.terms.values()),
                *([] if mask_errors is None else [mask_errors.get(path)]),
            ]
        )
    return _encode(stream.getvalue())


def _encode(text: str) -> bytes:
    """UTF-8, with escapes for the bytes of a file name that are none, so that the file can still be read."""
    return text.encode("utf-8", errors="backslashreplace")
