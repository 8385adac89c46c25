"""CSV manifests: `path,label,split,mask,kind,group`, paths relative to the manifest.

`label` is `normal` or `anomalous`. `split` is `train` or `test`, or is empty or left out for all lines. `mask`,
`kind`, the name of the defect, and `group`, the part that is shown, may be empty or left out. Other columns
are left out and named. Several lines of one image, as tools write them that list defects, are joined: their masks are
united, and what they say otherwise must agree. `csv_text` tells how the file itself may be written, `listed_paths` how
paths may.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast, get_args

from anomaly.counted import counted
from anomaly.data.datasets.csv_text import Line, Table, read_table
from anomaly.data.datasets.listed_paths import Located, locate
from anomaly.data.datasets.samples import Dataset, Label, Sample, Split, refuse_normal
from anomaly.errors import DataError

_NEEDED = ("path", "label")
_COLUMNS = (*_NEEDED, "split", "mask", "kind", "group")
_HELD_OUT = ("val", "valid", "validation", "dev")
_MAX_NAMED = 5
_MAX_PROBLEMS = 10


@dataclass(frozen=True)
class _Row:
    """One line that is right by itself."""

    number: int
    image: Located
    label: Label
    split: Split | None
    mask: Located | None
    kind: str
    group: str


@dataclass(frozen=True)
class _Problem:
    """Which line is wrong, or which two contradict each other, and why."""

    where: str
    reason: str


def open_manifest(path: Path, normal: Sequence[str]) -> Dataset:
    """The data set a manifest lists. The image files are first looked at when they are opened.

    Raises:
        DataError: not a manifest; bad lines are named by their numbers. Or half of the images or more are missing, or
            all masks: then their paths are not meant so.
    """
    refuse_normal(normal, str(path), "the label column of a manifest says what is normal")
    table = read_table(path, _NEEDED)
    notes = _check_columns(table.header, path)
    rows = _rows(table, path)
    notes += _check_present("images", {row.image.identity: row.image for row in rows}, path, most=0.5)
    masks = {row.mask.identity: row.mask for row in rows if row.mask}
    notes += _check_present("masks", masks, path, most=1)
    images: dict[object, list[_Row]] = {}
    for row in rows:
        images.setdefault(row.image.identity, []).append(row)
    _refuse(filter(None, map(_contradiction, images.values())), path)
    if len(rows) > len(images):
        num_joined = sum(len(several) for several in images.values() if len(several) > 1)
        num_images = sum(len(several) > 1 for several in images.values())
        notes.append(
            f"{num_joined} lines are of {counted(num_images, 'image')}: each counts once, with its masks united"
        )
    samples = tuple(_to_sample(several, masked=bool(masks)) for several in images.values())
    return Dataset(str(path), "manifest", samples, notes=tuple(notes), columns=tuple(filter(None, table.header)))


def _check_columns(header: Sequence[str], path: Path) -> list[str]:
    """Sentences on the columns that are not used. Raises DataError for one that may be a known one misspelt."""
    twice = [name for name in _COLUMNS if header.count(name) > 1]
    if twice:
        raise DataError(f"{path}: line 1 names the column {twice[0]} twice; leave one of them out")
    others = [name for name in header if name and name not in _COLUMNS]
    for name in others:
        if alike := difflib.get_close_matches(name, [known for known in _COLUMNS if known not in header], cutoff=0.8):
            raise DataError(f"{path}: line 1 has no column {alike[0]} but one called {name}; call it {alike[0]}")
    return [f"columns that are not known are left out: {', '.join(others)}"] if others else []


def _rows(table: Table, path: Path) -> list[_Row]:
    if not table.lines:
        raise DataError(f"{path}: lists no images; expected one in each line below the header")
    fields = [(line, dict(zip(table.header, line.fields, strict=False))) for line in table.lines]
    has_splits = any(values.get("split", "").strip() for _, values in fields)
    rows: list[_Row] = []
    problems: list[_Problem] = []
    for line, values in fields:
        row = _wrong_count(line, table.header) or _read_row(line.number, values, path.parent, has_splits)
        if isinstance(row, str):
            problems.append(_Problem(f"line {line.number}", row))
        else:
            rows.append(row)
    _refuse(problems, path)
    return rows


def _refuse(problems: Iterable[_Problem], path: Path) -> None:
    """Raises DataError if there are any. What is wrong with many lines is said once, and the first kinds are listed."""
    by_reason: dict[str, list[str]] = {}
    for problem in problems:
        by_reason.setdefault(problem.reason, []).append(problem.where)
    if not by_reason:
        return
    num = sum(map(len, by_reason.values()))
    listed = [
        f"{wheres[0]}: {reason}{f' (as in {_more(len(wheres) - 1)})' if len(wheres) > 1 else ''}"
        for reason, wheres in islice(by_reason.items(), _MAX_PROBLEMS)
    ]
    if num_left := sum(map(len, islice(by_reason.values(), _MAX_PROBLEMS, None))):
        listed.append(f"and {_more(num_left)}")
    said = "".join(f"\n  {each}" for each in listed)
    raise DataError(f"{path}: {counted(num, 'bad line')}; correct or remove them{said}")


def _more(num: int) -> str:
    return counted(num, "more line")


def _wrong_count(line: Line, header: Sequence[str]) -> str | None:
    """A spreadsheet writes blank fields behind the last column, and leaves empty ones at the end of a line away."""
    too_many = any(field.strip() for field in line.fields[len(header) :])
    if too_many or not set(_NEEDED) <= set(header[: len(line.fields)]):
        return f"has {counted(len(line.fields), 'field')}; expected {len(header)}"
    return None


def _read_row(number: int, values: dict[str, str], folder: Path, has_splits: bool) -> _Row | str:
    """The row, or what is wrong with it."""
    label, split = values["label"].strip(), values.get("split", "").strip()
    mask = values.get("mask", "")
    if not values["path"].strip():
        return "the path is empty"
    if label.casefold() not in get_args(Label):
        return f"the label is {label!r}; expected normal or anomalous"
    if has_splits and split.casefold() not in get_args(Split):
        return f"the split is {split!r}; expected train or test (or nothing in all lines){_advice(split)}"
    image_place = locate(values["path"], folder)
    mask_place = locate(mask, folder) if mask.strip() else None
    for place in (image_place, mask_place):
        if isinstance(place, str):
            return place
    assert isinstance(image_place, Located)
    assert not isinstance(mask_place, str)
    for what, located in (("path", image_place), ("mask", mask_place)):
        if located and located.is_folder:
            return f"the {what} {located.path} is a folder; expected an image file"
    if mask_place and mask_place.identity == image_place.identity:
        return "the mask is the image itself"
    return _Row(
        number,
        image_place,
        cast(Label, label.casefold()),
        cast(Split | None, split.casefold() or None),
        mask_place,
        values.get("kind", "").strip(),
        values.get("group", "").strip(),
    )


def _advice(split: str) -> str:
    if split.casefold() not in _HELD_OUT:
        return ""
    return ": training holds images out by itself, so call these train, or remove their lines"


def _contradiction(rows: Sequence[_Row]) -> _Problem | None:
    """Where two lines of one image disagree; a line without a mask says that not all of its defects are drawn."""
    first = rows[0]
    for row in rows[1:]:
        differs = None
        if row.label != first.label:
            differs = f"one says {first.label} and the other {row.label}"
        elif row.split != first.split:
            differs = f"one says {first.split} and the other {row.split}"
        elif row.group != first.group:
            differs = f"one says group {first.group!r} and the other {row.group!r}"
        elif (row.mask is None) != (first.mask is None):
            differs = "only one of them has a mask"
        if differs:
            return _Problem(f"lines {first.number} and {row.number}", f"both are {first.image.path}, but {differs}")
    return None


def _check_present(what: str, places: dict[object, Located], path: Path, *, most: float) -> list[str]:
    """A sentence on the files that are not there. Raises DataError where their share is `most` or above."""
    missing = [place.path for place in places.values() if not place.is_there]
    if not missing:
        return []
    named = ", ".join(map(str, missing[:_MAX_NAMED])) + (" …" if len(missing) > _MAX_NAMED else "")
    said = f"{len(missing)} of {len(places)} {what} that it lists do not exist: {named}"
    if len(missing) >= most * len(places):
        raise DataError(f"{path}: {said}; paths are relative to the manifest's folder, {path.absolute().parent}")
    return [said]


def _to_sample(rows: Sequence[_Row], masked: bool) -> Sample:
    first = rows[0]
    masks = {row.mask.identity: row.mask.path for row in rows if row.mask}
    kinds = sorted({row.kind for row in rows if row.kind})
    return Sample(
        str(first.image.path),
        first.split,
        first.label,
        "+".join(kinds),
        masks=tuple(masks.values()),
        masked=masked,
        group=first.group,
    )
