"""The greatest values of pictures of 16 bits, and whether a few of them decide the range that all are read by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anomaly.counted import counted
from anomaly.data import Limits, Sample, map_ahead, measure, range_for
from anomaly.errors import ImageError

ONE_IN = 20  # so few pictures are warned of when they decide the range; one is always few
_CHUNK = 16  # images in each task

Peak = tuple[str, int]
"""The path of a picture of 16 bits, and its greatest value."""


@dataclass(frozen=True)
class FewBeyond:
    """A few pictures that decide the range of all of 16 bits: the `num_within` others need `bits` only.

    `peak` is the greatest value of the others. `first` is the first of the `num_beyond` few, and `highest` that of all.
    """

    num_within: int
    num_beyond: int
    bits: int
    peak: int
    first: Peak
    highest: int

    def __str__(self) -> str:
        """How many are within, who goes beyond, what all lose by it, and what to do."""
        white = (1 << range_for(self.highest)) - 1
        levels = round(self.peak * 255 / white) + 1
        path, value = self.first
        one = self.num_beyond == 1
        who = f"only {path} goes beyond" if one else f"only {self.num_beyond:,} go beyond, the first of them {path}"
        num = self.num_within + self.num_beyond
        return (
            f"{self.num_within:,} of {counted(num, 'picture')} of 16 bits have values up to {(1 << self.bits) - 1:,}; "
            f"{who}, up to {value:,}. So all are read from 0 to {white:,}, and the others keep at most {levels} of 256 "
            f"grey levels: small differences in them are lost. If {'it is' if one else 'these few are'} faulty, as by "
            f"single hot pixels, take {'it' if one else 'them'} out, or have training leave "
            f"{'it' if one else 'them'} out by --set preprocess.range={self.bits}"
        )


def peaks_of(samples: Sequence[Sample], limits: Limits) -> list[Peak]:
    """The greatest value of each picture of 16 bits that can be read. Others are told by their first bytes."""
    return [(path, peak) for path, peak in _measured(samples, limits) if peak is not None]


def few_beyond(peaks: Sequence[Peak]) -> FewBeyond | None:
    """The few that decide the range: one, or no more than one in 20, without which a smaller range would hold all."""
    if len(peaks) < 2:
        return None
    ordered = sorted(peak for _, peak in peaks)
    most = max(1, len(peaks) // ONE_IN)
    bits = range_for(ordered[-1 - most])
    if bits == range_for(ordered[-1]):
        return None
    beyond = [(path, peak) for path, peak in peaks if peak >= 1 << bits]
    num_within = len(peaks) - len(beyond)
    return FewBeyond(num_within, len(beyond), bits, ordered[num_within - 1], beyond[0], ordered[-1])


def _measured(samples: Sequence[Sample], limits: Limits) -> Iterator[tuple[str, int | None]]:
    paths = [sample.path for sample in samples if sample.pixels is None]
    chunks = [paths[first : first + _CHUNK] for first in range(0, len(paths), _CHUNK)]
    for peaks in map_ahead(
        lambda chunk: [(path, _peak(path, limits)) for path in chunk], chunks, workers=limits.workers
    ):
        yield from peaks


def _peak(path: str, limits: Limits) -> int | None:
    try:
        return measure(Path(path), name=path, limits=limits)
    except ImageError:
        return None
