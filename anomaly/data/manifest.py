"""CSV manifests: `path,label,split,mask`, one image a line, paths relative to the manifest.

`label` is `normal` or `anomalous`. `split` is `train` or `test`, or is empty or left out for all lines. `mask` may be
empty or left out.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from anomaly.data.samples import Dataset, Label, Sample, Split, refuse_normal
from anomaly.errors import DataError

_COLUMNS = ("path", "label", "split", "mask")

Line = tuple[int, list[str]]


def open_manifest(path: Path, normal: Sequence[str]) -> Dataset:
    """The data set a manifest lists. The image files are first looked at when they are opened.

    Raises:
        DataError: not a manifest; every bad line is named by its number.
    """
    refuse_normal(normal, str(path), "the label column of a manifest says what is normal")
    header, lines = _read(path)
    rows = [dict(zip(header, fields, strict=False)) for _, fields in lines]
    has_splits = any(row.get("split") for row in rows)
    problems = [
        f"\n  line {number}: {problem}"
        for (number, fields), row in zip(lines, rows, strict=True)
        if (problem := _wrong_count(fields, header) or _problem(row, has_splits))
    ]
    if problems:
        raise DataError(f"{path}: {len(problems)} bad lines; correct or remove them" + "".join(problems))
    masked = any(row.get("mask") for row in rows)
    samples = tuple(_to_sample(row, path.parent, masked) for row in rows)
    return Dataset(str(path), "manifest", samples)


def _read(path: Path) -> tuple[list[str], list[Line]]:
    """The header and the lines below it that are not empty, with their numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            lines = [(reader.line_num, fields) for fields in reader if fields]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected a CSV file in UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is not CSV ({error})") from error
    if not {"path", "label"} <= set(header) <= set(_COLUMNS) or len(set(header)) < len(header):
        raise DataError(
            f"{path}: line 1 names the columns {','.join(header) or '(none)'}; "
            "expected path,label and, if wanted, split and mask"
        )
    if not lines:
        raise DataError(f"{path}: lists no images; expected one a line below the header")
    return header, lines


def _wrong_count(fields: Sequence[str], header: Sequence[str]) -> str | None:
    return None if len(fields) == len(header) else f"has {len(fields)} fields; expected {len(header)}"


def _problem(row: dict[str, str], has_splits: bool) -> str | None:
    """What is wrong with a line of the right length, or None."""
    label, split = row["label"], row.get("split", "")
    if not row["path"]:
        return "the path is empty"
    if label not in get_args(Label):
        return f"the label is {label!r}; expected normal or anomalous"
    if has_splits and split not in get_args(Split):
        return f"the split is {split!r}; expected train or test (or nothing in all lines)"
    return None


def _to_sample(row: dict[str, str], folder: Path, masked: bool) -> Sample:
    mask = row.get("mask")
    return Sample(
        str(folder / row["path"]),
        cast(Split | None, row.get("split") or None),
        cast(Label, row["label"]),
        kind="",
        mask=folder / mask if mask else None,
        masked=masked,
    )
