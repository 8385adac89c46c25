"""From corrections to a data set: the user's own images, found by their hashes, as a manifest with two splits.

The history keeps no images, only the SHA-256 of the bytes as they were sent. Whoever keeps the files has them labelled
here. No image is in both splits: of the confirmed normals four of five, by their hash, are to calibrate with (`train`,
which is what `anomaly calibrate` reads), the rest and the anomalous ones are to evaluate on (`test`). If some are to
teach, half of the anomalous ones are in `train` instead, where `anomaly refine` finds them. The same hash is always in
the same split, however many corrections there are. Where it is known which part an image shows, the hash is the part's:
what calibrates or teaches says nothing new of another picture of the same part. The manifest names it (`group`).
"""

import csv
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import inspect, null, select

from anomaly.bundle import check_outside_versions
from anomaly.data import expand_inputs
from anomaly.errors import DataError, UsageError
from anomaly.files import check_replaceable, storing, write_atomically
from service.records.history.choice import store_of
from service.records.history.place import check_unused_log
from service.records.history.store import EXPECTED, reason
from service.records.history.tables import images as kept
from service.schemas.history import Correction

EVALUATE_EVERY = 5
"""One of so many confirmed normals is evaluated on."""
TEACH_EVERY = 2
"""One of so many anomalous images teaches, where any are to teach."""


@dataclass(frozen=True)
class Corrected:
    """What was last said of an image, whether it had been flagged when it was scored, and which part it shows."""

    label: Correction
    was_flagged: bool
    part: str | None


@dataclass(frozen=True)
class Export:
    """How many images went where; corrected ones without a file; and of those written, how many had been flagged.

    `num_flagged_anomalous` are of those to evaluate on.
    """

    num_calibrate: int
    num_teach: int
    num_evaluate_normal: int
    num_evaluate_anomalous: int
    num_missing: int
    num_flagged_normals: int
    num_flagged_anomalous: int


def export_corrections(
    history: Path | SecretStr,
    images: Sequence[Path],
    out: Path,
    *,
    teach: bool = False,
    on_total: Callable[[int], None] = lambda total: None,
    on_image: Callable[[], None] = lambda: None,
) -> Export:
    """Write the manifest `out` of the files under `images` that have corrections; of equal files the first.

    With `teach` half of the anomalous ones are in the split `train`.

    Raises UsageError if the history or `out` cannot be used, `out` has lines that would be lost, or one of `images`
    does not exist; DataError if there is nothing to write, as before the first correction.
    """
    if out.suffix != ".csv" or not out.resolve().parent.is_dir():
        raise UsageError(f"the manifest is written to a file ending in .csv, in a folder that exists; got {str(out)!r}")
    check_outside_versions(out)
    for each in images:
        if not each.exists():
            raise UsageError(f"{each} does not exist; give a folder of the image files as they were sent")
    corrected = read_corrections(history)
    if not corrected:
        raise DataError(
            f"the history {history} has no corrections yet; make some on the page or by PUT /history/ID/correction"
        )
    paths, _ = expand_inputs([str(each) for each in images])
    on_total(len(paths))
    found: dict[str, str] = {}
    for path in paths:
        if (digest := _hash(path)) in corrected:
            found.setdefault(str(digest), path)
        on_image()
    if not found:
        raise DataError(
            f"none of {len(paths)} files is one of the {len(corrected)} corrected images of {history}; give the files "
            "as they were sent, byte for byte"
        )
    rows = [_row(path, digest, corrected[digest], teach=teach) for digest, path in found.items()]
    _write(out, sorted(rows))
    places = [(label, split) for _, label, split, _ in rows]
    was_flagged = [corrected[each].was_flagged for each in found]
    flagged = [place for place, is_flagged in zip(places, was_flagged, strict=True) if is_flagged]
    return Export(
        num_calibrate=places.count(("normal", "train")),
        num_teach=places.count(("anomalous", "train")),
        num_evaluate_normal=places.count(("normal", "test")),
        num_evaluate_anomalous=places.count(("anomalous", "test")),
        num_missing=len(corrected) - len(found),
        num_flagged_normals=sum(label == "normal" for label, _ in flagged),
        num_flagged_anomalous=flagged.count(("anomalous", "test")),
    )


def read_corrections(history: Path | SecretStr) -> dict[str, Corrected]:
    """By the images' hashes; where one image was corrected more than once, the last time counts.

    Raises UsageError if it is no history.
    """
    try:
        if isinstance(history, Path):
            check_unused_log(history)
        with closing(store_of(history)) as store, store.reading(oldest=1) as connection:
            has_parts = any(column["name"] == "part" for column in inspect(connection).get_columns("images"))
            found = connection.execute(
                select(kept.c.image_hash, kept.c.correction, kept.c.is_anomalous, kept.c.part if has_parts else null())
                .where(kept.c.correction.is_not(None))
                .order_by(kept.c.corrected_at, kept.c.id)
            ).all()
    except EXPECTED as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"the history {history} cannot be read: {reason(error)}; name what `anomaly serve --history` writes"
        ) from error
    return {digest: Corrected(label, flagged is True, part) for digest, label, flagged, part in found}


def split_of(digest: str, label: Correction, *, teach: bool = False) -> str:
    """Where an image belongs: by its label and a hash, its own or that of its part, and by nothing else."""
    number = int(digest[:8], 16)
    if label == "anomalous":
        return "train" if teach and number % TEACH_EVERY else "test"
    return "train" if number % EVALUATE_EVERY else "test"


def _row(path: str, digest: str, corrected: Corrected, *, teach: bool) -> tuple[str, Correction, str, str]:
    """A line of the manifest: path, label, split, group."""
    key = digest if corrected.part is None else sha256(corrected.part.encode()).hexdigest()
    return path, corrected.label, split_of(key, corrected.label, teach=teach), corrected.part or ""


def _hash(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return sha256(file.read()).hexdigest()
    except OSError:
        return None  # a file that cannot be read is none that was corrected


def _write(out: Path, rows: Sequence[tuple[str, Correction, str, str]]) -> None:
    """A manifest of before is replaced where all of its lines stay; another one may have been made by hand."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "split", "mask", "group"])
    for path, label, split, group in rows:
        writer.writerow([os.path.relpath(path, out.resolve().parent), label, split, "", group])
    content = text.getvalue().encode(errors=sys.getfilesystemencodeerrors())
    lines = set(content.splitlines())
    check_replaceable(
        out, lambda path: lines.issuperset(path.read_bytes().splitlines()), "an export of fewer corrections"
    )
    with storing("the manifest", out.parent, instead="give another --out"):
        write_atomically(out, content)
