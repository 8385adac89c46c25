"""How small a defect a detector finds: defects of known size and contrast, drawn into normals that nothing else used.

Each picture gets every defect of the plan, one at a time, so all cells are measured on the same pictures. What it costs
is bounded: by the pictures, by the plan, which is smaller where scoring is slow, and by a time limit.
The intervals are Wilson's (1927), of a share of independent pictures.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anomaly.bundle import DetectabilityCell, DetectabilityRecord
from anomaly.config.region import inside_of
from anomaly.data import Pixels
from anomaly.evaluation.defects import Defect, DefectKind, spoil_picture

LENGTHS = (2, 4, 8, 16, 32, 64)
CONTRASTS = (0.3, 0.1)
SLENDERNESS = 8  # a scratch is so many times as long as wide
WANTED = 10  # pictures for each cell; the plan is made smaller until the time is enough for as many
MAX_BYTES = 2**26  # of spoilt pictures in memory at once
MAX_TOGETHER = 64
SLOW_S = 2.0  # a picture: then no more are scored only to measure the pace

Flag = Callable[[list[Pixels]], Sequence[bool | None]]
"""Which of some pictures are called anomalous at the false-alarm rate in force."""


@dataclass
class _Count:
    found: int = 0
    shown: int = 0


def measure_detectability(
    pictures: Iterable[Pixels],
    flag: Flag,
    *,
    alpha: float,
    seed: int,
    region: str | None = None,
    time_limit_s: float,
) -> DetectabilityRecord | None:
    """The share of each defect that is found in normal pictures (h, w) or (h, w, 3), which are read one at a time.

    `flag` decides at the false-alarm rate `alpha`. `seed` draws the places, which lie inside of `region` (see
    `config.region`) where there is one. None where no picture can show a defect.
    """
    ends = time.monotonic() + time_limit_s
    counts: dict[Defect, _Count] = {}
    num_images = num_false_alarms = 0
    is_over = False
    for number, picture in enumerate(pictures):
        if not number:
            defects = plan(picture, num_affordable=int(time_limit_s / _score_s(picture, flag)))
            counts = {defect: _Count() for defect in defects}
        if is_over := is_over or time.monotonic() > ends:
            break
        num_images += 1
        num_false_alarms += sum(flagged is True for flagged in flag([picture]))
        for several in _spoilt(picture, list(counts), (seed, number), region):
            if is_over := time.monotonic() > ends:
                break
            for (defect, _), flagged in zip(several, flag([spoilt for _, spoilt in several]), strict=True):
                counts[defect].shown += 1
                counts[defect].found += flagged is True
    cells = [_cell(defect, count) for defect, count in counts.items() if count.shown]
    if not cells:
        return None
    return DetectabilityRecord(
        alpha=alpha,
        num_images=num_images,
        num_false_alarms=num_false_alarms,
        is_out_of_time=is_over,
        cells=cells,
    )


def plan(picture: Pixels, *, num_affordable: int) -> list[Defect]:
    """The defects for pictures like this one: up to half of its shorter side, and colours where it has such.

    All of them, or fewer contrasts, fewer kinds, fewer sizes, so that `num_affordable` scores are enough for WANTED
    pictures of each; the smallest plan is taken even if they are not.
    """
    lengths = [length for length in LENGTHS if length <= min(picture.shape[:2]) // 2]
    kinds = [kind for kind in DefectKind if picture.ndim == 3 or kind is not DefectKind.COLOUR_CAST]
    few = [DefectKind.DARK_SCRATCH, DefectKind.BRIGHT_SPOT]
    plans = [
        list(_defects(kinds, CONTRASTS, lengths)),
        list(_defects(kinds, CONTRASTS[:1], lengths)),
        list(_defects(few, CONTRASTS[:1], lengths)),
        list(_defects(few, CONTRASTS[:1], lengths[1::2] or lengths)),
    ]
    return next((smaller for smaller in plans if WANTED * len(smaller) <= num_affordable), plans[-1])


def _defects(kinds: Sequence[DefectKind], contrasts: Sequence[float], lengths: Sequence[int]) -> Iterator[Defect]:
    for kind in kinds:
        for contrast in (None,) if kind is DefectKind.MISSING_STRUCTURE else contrasts:
            for length in lengths:
                width = max(1, length // SLENDERNESS) if kind.is_scratch else length
                yield Defect(kind, width, length, contrast)


def _score_s(picture: Pixels, flag: Flag) -> float:
    """Seconds to score a picture among others. The first call of a detector takes longer; it counts if it is slow."""
    started = time.monotonic()
    flag([picture])
    if (first_s := time.monotonic() - started) > SLOW_S:
        return first_s
    together = [picture] * min(_num_together(picture), MAX_TOGETHER // 4)
    started = time.monotonic()
    flag(together)
    return max((time.monotonic() - started) / len(together), 1e-6)


def _num_together(picture: Pixels) -> int:
    return max(1, min(MAX_TOGETHER, MAX_BYTES // picture.nbytes))


def _spoilt(
    picture: Pixels, defects: list[Defect], seed: tuple[int, int], region: str | None
) -> Iterator[list[tuple[Defect, Pixels]]]:
    """The picture with each defect that it can show, some at a time, in random order: so a time limit is fair."""
    several: list[tuple[Defect, Pixels]] = []
    inside = None if region is None else inside_of(region, *picture.shape[:2])
    for row in np.random.default_rng(seed).permutation(len(defects)):
        defect = defects[row]
        spoilt = spoil_picture(picture, defect, np.random.default_rng((*seed, *defect.seed)), inside=inside)
        if spoilt is not None:
            several.append((defect, spoilt))
        if len(several) == _num_together(picture):
            yield several
            several = []
    if several:
        yield several


def _cell(defect: Defect, count: _Count) -> DetectabilityCell:
    from scipy.stats import binomtest  # here, because it takes a second to import

    interval = binomtest(count.found, count.shown).proportion_ci(confidence_level=0.95, method="wilson")
    return DetectabilityCell(
        kind=defect.kind,
        width=defect.width,
        length=defect.length,
        contrast=defect.contrast,
        found=count.found,
        shown=count.shown,
        low=float(np.clip(interval.low, 0, 1)),
        high=float(np.clip(interval.high, 0, 1)),
    )
