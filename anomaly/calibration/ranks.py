"""Online ranks: each new score among the calibration scores and the stream so far, exactly, in bounded memory.

The n calibration scores cut the line into n + 1 gaps, and only the number of scores seen in each gap is kept. Where
calibration and stream are exchangeable, the gap of the next score is drawn as from Pólya's urn: it is gap k with
probability c_k / N, where c_k is one more than the scores seen in it, and N the sum of these. So

    p = (Σ_{j > k} c_j + U·c_k) / N,  U uniform in [0, 1),

is uniform whatever came before, and the p of a stream are independent. This is exact: nothing is thinned, sampled or
started anew. A p-value of the calibration alone is not: all of those share its accidents (docs/drift.md).

Equal scores are told apart by a random number that each gets, those of the calibration once and for all.
Source: Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World, sections 2.4 and 7.1 (smoothed
conformal predictors); Blackwell and MacQueen 1973 for the urn.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NUMBERS = ("state", "inc")


@dataclass(frozen=True)
class Rank:
    """The rank of one new score: its smoothed p-value, and the gap it is in, counted from 0 for the highest."""

    p: float
    gap_from_top: int


class OnlineRanks:
    """The ranks of one stream. Takes 24 bytes for each calibration score, however long the stream is."""

    def __init__(self, calibration: NDArray[np.float64], rng: np.random.Generator) -> None:
        """`calibration`: ascending, (n_cal,)."""
        self._rng = rng
        self._scores: list[float] = calibration.tolist()
        self._tie_breaks = _sorted_among_equals(self._scores, rng)
        self._num_gaps = len(self._scores) + 1
        self._counts = _Counts(self._num_gaps)

    @property
    def num_gaps(self) -> int:
        """n_cal + 1."""
        return self._num_gaps

    def add(self, score: float) -> Rank:
        """Find the rank of a score, and count it among those that the next is ranked with."""
        rank = self._rank(score)
        self._counts.increment(rank.gap_from_top)
        return rank

    def num_above(self, num_gaps: int) -> int:
        """Σ c over the highest gaps: as many scores as were seen there, and one more for each gap."""
        return self._counts.before(num_gaps)

    @property
    def total(self) -> int:
        """N."""
        return self._counts.total

    def state(self) -> dict[str, NDArray[np.uint64]]:
        """What the stream has changed: its counts, and where the generator of random numbers is."""
        return {"counts": np.array(self._counts.tree), "generator": _words_of(self._rng)}

    def restore(self, state: Mapping[str, NDArray[np.uint64]]) -> None:
        """Go on where another one was, made of the same calibration and generator. Raises ValueError if it was not."""
        counts = array("Q", state["counts"].tobytes())
        if len(counts) != self._num_gaps + 1:
            raise ValueError(f"counts of {len(counts) - 2} calibration scores, and not of {len(self._scores)}")
        self._counts.tree = counts
        self._counts.total = self._counts.before(self._num_gaps)
        _set_words(self._rng, state["generator"])

    def _rank(self, score: float) -> Rank:
        gap = self._num_gaps - 1 - self._place(score)
        above = self._counts.before(gap)
        here = self._counts.before(gap + 1) - above
        return Rank((above + self._rng.random() * here) / self._counts.total, gap)

    def _place(self, score: float) -> int:
        """How many calibration scores it outranks."""
        low, high = bisect_left(self._scores, score), bisect_right(self._scores, score)
        return low if low == high else bisect_left(self._tie_breaks, self._rng.random(), low, high)


class _Counts:
    """c of each gap, and sums of them in logarithmic time (Fenwick 1994)."""

    def __init__(self, size: int) -> None:
        self.total = size
        self.tree = array("Q", (i & -i for i in range(size + 1)))  # each count is 1

    def increment(self, index: int) -> None:
        self.total += 1
        i = index + 1
        while i < len(self.tree):
            self.tree[i] += 1
            i += i & -i

    def before(self, index: int) -> int:
        """The sum of the first `index` counts."""
        summed = 0
        while index:
            summed += self.tree[index]
            index &= index - 1
        return summed


def _words_of(rng: np.random.Generator) -> NDArray[np.uint64]:
    """The two numbers of 128 bits that a PCG64 is at (O'Neill 2014), in four words."""
    numbers: dict[str, int] = rng.bit_generator.state["state"]
    return np.array([word for name in _NUMBERS for word in divmod(numbers[name], 2**64)], np.uint64)


def _set_words(rng: np.random.Generator, words: NDArray[np.uint64]) -> None:
    high_low: list[int] = words.tolist()
    numbers = {name: high_low[2 * i] * 2**64 + high_low[2 * i + 1] for i, name in enumerate(_NUMBERS)}
    rng.bit_generator.state = {
        **rng.bit_generator.state,
        "state": numbers,
    }  # doubles leave no half word


def _sorted_among_equals(scores: list[float], rng: np.random.Generator) -> list[float]:
    """A random number for each score, ascending among equal ones: so they are ordered by score, then by it."""
    pairs = sorted((score, float(rng.random())) for score in scores)
    return [tie_break for _, tie_break in pairs]
