"""`--groups`: which part each picture shows, by the manifest's column `group` or by a pattern of file names.

Pictures of anomalies are only tested. They may have other names or none in the column: then each shows its own part.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from anomaly.data.datasets.samples import Dataset, Sample
from anomaly.errors import DataError, UsageError

COLUMN = "group"
_NUM_NAMED = 3


def with_parts(dataset: Dataset, groups: str) -> Dataset:
    """A copy of the data set that knows the part of each of its normal images (see `Dataset.parts`).

    An anomaly's part is its `group`. Files of two kinds may have the same names though they show other parts, as in
    MVTec's trees, so a part that a pattern finds is of this kind only.

    `groups` is `group`, for the manifest's column, or a regular expression that is searched for in the name of each
    file, without its folders: what its first group matches is the part, or the whole match where it has no group.

    Raises:
        UsageError: `groups` is no regular expression, or there is no manifest to have the column.
        DataError: an image has no part; the message names the first ones. Or the manifest has no such column.
    """
    normals = [sample for sample in dataset.samples if sample.label == "normal"]
    if groups == COLUMN:
        return replace(dataset, parts=_by_column(dataset, normals))
    pattern = _compiled(groups)
    grouped = [
        sample if sample.label == "normal" else replace(sample, group=_of_kind(sample, _part(pattern, sample)))
        for sample in dataset.samples
    ]
    return replace(dataset, parts=_by_pattern(dataset, normals, pattern), samples=tuple(grouped))


def _by_column(dataset: Dataset, normals: Sequence[Sample]) -> dict[str, str]:
    if dataset.form != "manifest":
        raise UsageError(
            f"--groups {COLUMN} is the column of a manifest, and {dataset.name} is none; give a regular expression of "
            r"the file names, such as --groups 'part(\d+)_', or write a manifest"
        )
    if COLUMN not in dataset.columns:
        raise DataError(
            f"{dataset.name}: has no column {COLUMN}; its columns are {', '.join(dataset.columns)}. If one of them "
            f"says which part each image shows, call it {COLUMN}; else add that column, or leave --groups away"
        )
    without = [sample.path for sample in normals if not sample.group]
    if without:
        raise DataError(
            f"{dataset.name}: {len(without)} of {len(normals)} normal images have nothing in the column {COLUMN}: "
            f"{_named(without)}; write there which part each shows, or leave --groups away"
        )
    return {sample.path: sample.group for sample in normals}


def _compiled(groups: str) -> re.Pattern[str]:
    try:
        return re.compile(groups)
    except re.error as error:
        raise UsageError(
            f"--groups '{groups}' is no regular expression ({error}); give {COLUMN}, the column of a manifest, or an "
            r"expression whose first group is the part, such as 'part(\d+)_'"
        ) from error


def _by_pattern(dataset: Dataset, normals: Sequence[Sample], pattern: re.Pattern[str]) -> dict[str, str]:
    parts = {sample.path: _part(pattern, sample) for sample in normals}
    without = [path for path, part in parts.items() if not part]
    if without:
        raise DataError(
            f"{dataset.name}: the names of {len(without)} of {len(normals)} normal images do not match --groups "
            f"'{pattern.pattern}': {_named(without)}; {_advice(dataset, pattern, without[0])}"
        )
    return parts


def _part(pattern: re.Pattern[str], sample: Sample) -> str:
    match = pattern.search(Path(sample.path).name)
    return (match[1 if pattern.groups else 0] or "") if match else ""


def _of_kind(sample: Sample, part: str) -> str:
    return f"{sample.kind}/{part}" if part else ""


def _advice(dataset: Dataset, pattern: re.Pattern[str], path: str) -> str:
    """What to do about an expression that does not match this path's name; it may be meant for a column, or folders."""
    groups = pattern.pattern
    alike = difflib.get_close_matches(groups.strip().lower(), dataset.columns, n=1, cutoff=0.8)
    if alike == [COLUMN]:
        return f"for the manifest's column {COLUMN} give --groups {COLUMN}"
    if alike:
        return (
            f"the manifest has a column {alike[0]}: if that says which part each image shows, call it {COLUMN} in the "
            f"manifest, and give --groups {COLUMN}"
        )
    *folders, name = Path(path).parts
    if not pattern.search(name) and any(map(pattern.search, (path, *folders))):
        return (
            f"the folders do, but only the name of the file is searched, {name}. Put the part into the names of the "
            f"files, or write a manifest with the column {COLUMN}, and give --groups {COLUMN}"
        )
    return (
        "change the expression so that it finds the part in each name, move these files away, or write a manifest with "
        f"the column {COLUMN}"
    )


def _named(paths: Sequence[str]) -> str:
    return ", ".join(paths[:_NUM_NAMED]) + (" …" if len(paths) > _NUM_NAMED else "")
