"""Has the process changed? A martingale that bets against exchangeability, and an alarm with a stated probability.

Online ranks (`ranks`) of a steady process are independent and uniform. A gambler who bets on each of them, at fair
odds, starts with 1 and has M_n after n: the chance that M ever reaches 1/rate is at most `rate`, however long the
stream is (Ville's inequality). So M ≥ 1/rate is the alarm, and M says how strong the evidence is at any time.

The gambler holds shares of several bets, each with ∫ f(p) dp = 1:
- the whole process moves: f(p) = 1 + ε·(p − 1/2), ε = ±1 (the bets of Vovk's Simple Jumper);
- new scores are too often among the highest: f(p) = (1 − w) + w·[p < a]/a, where a is the share that the ranks so far
  give to what lies above the calibration's highest score, or above its highest percent, and w is the excess.
Half of the capital is never staked. So M ends at 1/2 where nothing changes, and the alarm sounds by chance with a
probability of at most rate/(2 − rate), about half of what is stated: a gambler who stakes all comes close to all of it.
Of the other half, what is not yet in a bet rests, and is let out bit by bit, in each power of ten of scores about as
much as in the one before: after n quiet scores 1/(1 + log₁₀(1 + n)) of it still rests, so that a change is found after
long quiet too. The shares in bets are evened out at a slow rate, for a change of another kind.

All this asks that the stream is exchangeable with the calibration. Several pictures of one part are not: they are
alike, and a steady process would set off the alarm. So of pictures of one part only the first is bet on.

Sources: Vovk et al. 2021, Retrain or not retrain: conformal test martingales for change-point detection, section 3
(Simple Jumper); Vovk, Nouretdinov and Gammerman 2003, Testing exchangeability on-line; Ville 1939.
"""

import math
from array import array
from collections import deque
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from anomaly.calibration.ranks import OnlineRanks

RESERVE = 0.5
"""The share of the capital that is never staked."""
JUMP_RATE = 0.001
"""The share of each bet's capital that is evened out among the bets at each score."""
MOVES = (-1.0, 1.0)
"""ε: down and up."""
EXCESSES = (0.01, 0.03, 0.1, 0.3)
"""w: the share of scores that come in excess."""
TOP_SHARE = 0.01
"""Of the calibration scores: the highest percent."""
NUM_PARTS = 256
"""A picture is taken for one of an earlier part if that is among so many latest ones."""
_GOLDEN = (math.sqrt(5) - 1) / 2
Arrays = Mapping[str, NDArray[Any]]
Numbers = TypeVar("Numbers", float, NDArray[np.float64])


class Martingale:
    """M of one stream. Capital is kept as shares of M, and M as its logarithm: neither overflows."""

    def __init__(self, ranks: OnlineRanks) -> None:
        self.log10 = 0.0
        self.num_scores = 0
        self._ranks = ranks
        self._tops = (1, max(1, round(TOP_SHARE * ranks.num_gaps)))
        self._resting = 1.0
        self._shares = [0.0] * (len(MOVES) + len(EXCESSES) * len(self._tops))

    def add(self, score: float) -> None:
        """Bet on the rank of the next score."""
        released = self._resting * (1.0 - _resting(self.num_scores + 1) / _resting(self.num_scores))
        self._resting -= released
        even = (JUMP_RATE * sum(self._shares) + released) / len(self._shares)
        chances = [self._ranks.num_above(top) / self._ranks.total for top in self._tops]  # before the score is known
        rank = self._ranks.add(score)
        payoffs = [1.0 + move * (rank.p - 0.5) for move in MOVES]
        for top, chance in zip(self._tops, chances, strict=True):
            odds = 1.0 / chance if rank.gap_from_top < top else 0.0
            payoffs += [1.0 - excess + excess * odds for excess in EXCESSES]
        keep = 1.0 - JUMP_RATE
        shares = [(keep * share + even) * payoff for share, payoff in zip(self._shares, payoffs, strict=True)]
        growth = self._resting + sum(shares)
        self._shares = [share / growth for share in shares]
        self._resting /= growth
        self.log10 += math.log10(growth)
        self.num_scores += 1

    def state(self) -> dict[str, NDArray[Any]]:
        """All that scores have changed."""
        capital = np.array([self.num_scores, self.log10, self._resting, *self._shares])
        return {"capital": capital, **self._ranks.state()}

    def restore(self, state: Arrays) -> None:
        """Go on where another one was. Raises ValueError."""
        self._ranks.restore(state)
        num_scores, self.log10, self._resting, *self._shares = state["capital"].tolist()
        self.num_scores = int(num_scores)


def _resting(num_scores: int) -> float:
    """The share of the first capital that is in no bet after so many scores."""
    return RESERVE + (1.0 - RESERVE) / (1.0 + math.log10(1 + num_scores))


class Trajectory:
    """Points (n, log10 M) of a curve, thinned evenly as it grows, so that there are never more than `max_points`."""

    def __init__(self, max_points: int = 512) -> None:
        self._max_points = max_points
        self._stride = 1
        self._values = array("d")
        """At n = stride, 2 · stride, …"""
        self._last = (0, 0.0)

    def add(self, n: int, value: float) -> None:
        """The next point."""
        self._last = (n, value)
        if n % self._stride == 0:
            self._values.append(value)
        if len(self._values) >= self._max_points:
            self._stride *= 2
            self._values = self._values[1::2]

    @property
    def points(self) -> list[tuple[int, float]]:
        """From the beginning, (0, 0), to the last one."""
        points = [(self._stride * (i + 1), value) for i, value in enumerate(self._values)]
        ends = [] if not self._last[0] or points[-1:] == [self._last] else [self._last]
        return [(0, 0.0), *points, *ends]

    def state(self) -> dict[str, NDArray[Any]]:
        """All that points have changed."""
        last, value = self._last
        return {"points": np.array(self._values), "last": np.array([self._stride, last, value])}

    def restore(self, state: Arrays) -> None:
        """Go on where another one was."""
        self._values = array("d", state["points"].tobytes())
        stride, last, value = state["last"].tolist()
        self._stride, self._last = int(stride), (int(last), value)


class LatestParts:
    """Which parts came lately, as 64 bits of their SHA-256."""

    def __init__(self, size: int = NUM_PARTS) -> None:
        self._latest: deque[int] = deque(maxlen=size)

    def add(self, part: str) -> bool:
        """Whether it is a new one; it is remembered from now on."""
        key = int.from_bytes(sha256(part.encode(errors="surrogatepass")).digest()[:8])
        is_new = key not in self._latest
        if is_new:
            self._latest.append(key)
        return is_new

    def state(self) -> dict[str, NDArray[Any]]:
        """All that parts have changed."""
        return {"parts": np.array(self._latest, np.uint64)}

    def restore(self, state: Arrays) -> None:
        """Go on where another one was, which may have known nothing of parts."""
        self._latest.clear()
        self._latest.extend(state["parts"].tolist() if "parts" in state else ())


class Window:
    """A histogram of the last p-values, in bins of equal width over (0, 1]."""

    def __init__(self, size: int = 1000, num_bins: int = 20) -> None:
        self.counts = [0] * num_bins
        self._bins: deque[int] = deque()
        self._size = size

    def __len__(self) -> int:
        return len(self._bins)

    def add(self, p_value: float) -> None:
        """The next p-value; the oldest of a full window goes."""
        if len(self._bins) == self._size:
            self.counts[self._bins.popleft()] -= 1
        bin_ = max(0, math.ceil(p_value * len(self.counts)) - 1)
        self._bins.append(bin_)
        self.counts[bin_] += 1

    def state(self) -> dict[str, NDArray[Any]]:
        """The bin of each p-value."""
        return {"bins": np.array(bytearray(self._bins))}

    def restore(self, state: Arrays) -> None:
        """Go on where another one was."""
        self._bins = deque(state["bins"].tolist())
        self.counts = np.bincount(state["bins"], minlength=len(self.counts)).tolist()


def spread_below(p_value: Numbers, step: float, number: Numbers) -> Numbers:
    """For histograms: the `number`-th p-value, a multiple of `step`, moved down by less than one.

    Equal p-values are spread evenly so. Else bins would be filled by how many of the multiples lie in them.
    """
    return p_value - step * (number * _GOLDEN % 1.0)


class Drift:
    """What is watched of one model: M, its maximum, its alarm, and the p-values that its answers had lately."""

    def __init__(self, calibration: NDArray[np.float64], *, rate: float, rng: np.random.Generator) -> None:
        """`calibration`: ascending; `rate`: the chance that the alarm ever sounds while nothing changes."""
        self.rate = rate
        self.max_log10 = 0.0
        self.alarm_at: int | None = None
        self.trajectory = Trajectory()
        self.window = Window()
        self._martingale = Martingale(OnlineRanks(calibration, rng))
        self._parts = LatestParts()
        self._step = 1 / (len(calibration) + 1)

    @property
    def log10_martingale(self) -> float:
        """log10 M: 0 at first."""
        return self._martingale.log10

    @property
    def num_scores(self) -> int:
        """How many were watched."""
        return self._martingale.num_scores

    def add(self, score: float, p_value: float, part: str | None = None) -> bool:
        """Watch one score, with the p-value that it has by the calibration; whether it has set off the alarm.

        An alarm, once set off, stays: what comes after it is no new evidence that all is well. A further picture of a
        `part` that came lately is not watched.
        """
        if part is not None and not self._parts.add(part):
            return False
        self._martingale.add(score)
        log10 = self._martingale.log10
        self.trajectory.add(self.num_scores, log10)
        self.window.add(spread_below(p_value, self._step, self.num_scores))
        self.max_log10 = max(self.max_log10, log10)
        if self.alarm_at is None and log10 >= -math.log10(self.rate):
            self.alarm_at = self.num_scores
            return True
        return False

    def to_bytes(self) -> bytes:
        """All that scores have changed, to the bit, as safetensors: 8 bytes for each calibration score, and 8 KB."""
        parts = (self._martingale, self.trajectory, self.window, self._parts)
        state = {name: array for part in parts for name, array in part.state().items()}
        alarm = np.array([self.max_log10, self.alarm_at or 0])
        return save({**state, "alarm": alarm})

    def restore(self, data: bytes) -> None:
        """Go on where another one was, made of the same calibration and generator.

        Raises ValueError if these are no bytes of `to_bytes`, or of another calibration.
        """
        try:
            state = load(data)
            for part in (self._martingale, self.trajectory, self.window, self._parts):
                part.restore(state)
            self.max_log10, alarm_at = state["alarm"].tolist()
        except (KeyError, SafetensorError) as error:
            raise ValueError(f"no state of a drift: {error}") from error
        self.alarm_at = int(alarm_at) or None


def generator_of(digest: str) -> np.random.Generator:
    """The random numbers of a bundle's stream: the same wherever it is watched, so the same stream gives the same M.

    Ville's inequality asks of them only that they are independent of the scores.
    """
    return np.random.default_rng(int(sha256(digest.encode()).hexdigest(), 16))
