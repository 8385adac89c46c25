"""Normal images decide, in disjoint sets (law 5): to train on, to select by, to calibrate with, to report on.

Where it is known which part each picture shows, whole parts are drawn. Pictures of one part are alike, so n of them
tell less than n parts do: what ranks or gives an interval has one picture of each part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anomaly.counted import counted
from anomaly.data.keys import distinct_rows
from anomaly.errors import DataError

MIN_NORMALS = 20
"""Of fewer distinct normal images none can be held out."""
MIN_PARTS = 4
"""Two to train, one to select, one to calibrate; where that one is a single picture, one that trains selects too."""
MIN_SELECT = 2
"""Pictures to select by: one alone shows no spread, and no other tells what is ordinary."""
_CALIBRATE_WANTED = 99  # the smallest number that allows a false-alarm rate of 1 %: alpha ≥ 1 / (n + 1)
_SELECT_WANTED = 50
_REPORT_WANTED, _REPORT_MOST = 10, 60


@dataclass(frozen=True)
class NormalSplit:
    """Indices into the normal images, each list sorted; together they contain each distinct image once.

    `report` tells how small a defect is found, and is used for nothing else; it is empty where it was not asked for.
    `unused` are the other pictures of parts that have one in `calibrate` or `report`; without parts there are none.
    `select_parts` numbers the part that each image of `select` shows; without parts it is empty.
    """

    train: list[int]
    select: list[int]
    calibrate: list[int]
    report: list[int] = field(default_factory=list)
    unused: list[int] = field(default_factory=list)
    select_parts: list[int] = field(default_factory=list)

    @property
    def num_distinct(self) -> int:
        """The images in any of the lists."""
        return sum(map(len, (self.train, self.select, self.calibrate, self.report, self.unused)))


def split_distinct(
    keys: NDArray[np.uint64], *, seed: int, groups: Sequence[str] | None = None, with_report: bool = False
) -> NormalSplit:
    """The sets of images with these keys (see `image_keys`). Of exact copies only the first is in a set.

    Else a picture could be in two sets, and the thresholds would be set on what was trained on. Images without copies
    are drawn as `split_normals` draws them. `groups` has the part that each image shows: then parts are drawn, as many
    as there would be images, *calibrate* and *report* have one picture of each of theirs, and the order of the images
    does not matter. If *select* would be a single picture, it gets the smallest part of *train* too. Of copies in
    several parts the first part by name has the image.

    Raises:
        DataError: fewer than 20 distinct images, or fewer than 4 parts.
    """
    if groups is not None:
        return _split_parts(keys, np.asarray(groups), seed=seed, with_report=with_report)
    rows = distinct_rows(keys)
    _check_enough(len(rows), len(keys))
    drawn = split_normals(len(rows), seed=seed, with_report=with_report)
    return NormalSplit(
        *(rows[indices].tolist() for indices in (drawn.train, drawn.select, drawn.calibrate, drawn.report))
    )


def split_normals(n: int, *, seed: int, with_report: bool = False) -> NormalSplit:
    """Draws the sets; the same n and seed draw the same, and *select* and *calibrate* are the same with a report.

    A tenth calibrates, but of few images more: up to 99, though at most a quarter. A tenth selects, but of few images
    more: up to 50, though at most 15 %. With `with_report` a tenth reports, at least 10 and at most 60, but fewer, or
    none, where less than half of the images would be left to train on. The rest trains.

    Raises:
        DataError: fewer than 20 images.
    """
    _check_enough(n, n)
    return _draw(n, seed=seed, with_report=with_report)


def num_to_calibrate(n: int) -> int:
    """How many of n normal images, or parts, calibrate."""
    return max(n // 10, min(_CALIBRATE_WANTED, n // 4))


def num_normals_for(num_calibration: int) -> int:
    """The smallest number of normal images, or parts, of which so many calibrate."""
    n = MIN_NORMALS
    while num_to_calibrate(n) < num_calibration:
        n += 1
    return n


def few_parts(num_parts: int) -> str | None:
    """The warning where parts are as few as images may not be, else None."""
    if num_parts >= MIN_NORMALS:
        return None
    return (
        f"there {'is' if num_parts == 1 else 'are'} {counted(num_parts, 'part')}; expected at least {MIN_NORMALS}, "
        "because ranks count parts, not pictures, and "
        "whole parts are held out: add pictures of other parts, or give them to `anomaly calibrate` later"
    )


def one_of_each(keys: NDArray[np.uint64], groups: Sequence[str]) -> NDArray[np.intp]:
    """The rows of one picture of each part, ascending: the one of the smallest key.

    A key is a hash of the pixels, so this is a draw by chance, which needs no seed and no order of the images.
    """
    order = np.lexsort((keys, np.asarray(groups)))
    _, firsts = np.unique(np.asarray(groups)[order], return_index=True)
    return np.sort(order[firsts])


def _draw(n: int, *, seed: int, with_report: bool) -> NormalSplit:
    num_calibrate = num_to_calibrate(n)
    num_select = max(1, n // 10, min(_SELECT_WANTED, n * 15 // 100))
    spare = n - num_calibrate - num_select - (n + 1) // 2
    num_report = min(max(_REPORT_WANTED, min(_REPORT_MOST, n // 10)), spare) if with_report else 0
    drawn = np.random.default_rng(seed).permutation(n)
    ends = np.cumsum([num_calibrate, num_select, num_report])
    calibrate, select, report, train = (sorted(indices.tolist()) for indices in np.split(drawn, ends))
    return NormalSplit(train, select, calibrate, report)


def _split_parts(keys: NDArray[np.uint64], groups: NDArray[np.str_], *, seed: int, with_report: bool) -> NormalSplit:
    order = np.lexsort((keys, groups))
    rows = order[distinct_rows(keys[order])]  # by part, and in each part by key: the first is its `one_of_each`
    _check_enough(len(rows), len(keys))
    parts, starts = np.unique(groups[rows], return_index=True)
    if len(parts) < MIN_PARTS:
        raise DataError(
            f"the {len(rows)} normal images are of {counted(len(parts), 'part')}; expected at least {MIN_NORMALS}, "
            f"and never fewer than {MIN_PARTS}, because whole parts are held out to select and to calibrate: add "
            "pictures of other parts, or check --groups"
        )
    pictures = np.split(rows, starts[1:])
    drawn = _draw(len(parts), seed=seed, with_report=with_report)
    train, select = drawn.train, drawn.select
    if sum(len(pictures[part]) for part in select) < MIN_SELECT:
        moved = min(train, key=lambda part: len(pictures[part]))
        train, select = [part for part in train if part != moved], [*select, moved]
    ranked = (drawn.calibrate, drawn.report)
    selected = sorted((int(row), part) for part in select for row in pictures[part])
    return NormalSplit(
        train=_together([pictures[part] for part in train]),
        select=[row for row, _ in selected],
        select_parts=[part for _, part in selected],
        calibrate=_together([pictures[part][:1] for part in drawn.calibrate]),
        report=_together([pictures[part][:1] for part in drawn.report]),
        unused=_together([pictures[part][1:] for own in ranked for part in own]),
    )


def _together(pictures: Sequence[NDArray[np.intp]]) -> list[int]:
    return sorted(int(row) for several in pictures for row in several)


def _check_enough(num_distinct: int, num_images: int) -> None:
    if num_distinct >= MIN_NORMALS:
        return
    if num_distinct < num_images:
        raise DataError(
            f"of {num_images} normal images {num_distinct} are distinct, the others are exact copies; expected at "
            f"least {MIN_NORMALS} distinct ones, because some are held out to select and to calibrate: add normal "
            "images"
        )
    raise DataError(
        f"there {'is' if num_images == 1 else 'are'} {counted(num_images, 'normal image')}; expected at least "
        f"{MIN_NORMALS}, because some are held out to select "
        "and to calibrate: add normal images"
    )
