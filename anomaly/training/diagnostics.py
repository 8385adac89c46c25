"""What goes wrong in training, by the curves: the discriminator has won, G's modes have collapsed, the run diverges.

Each diagnosis looks at the last rows of the curves, one for each step. It is reported once, with what to change. A row
without a column (an autoencoder's, f-AnoGAN's encoder's, an older history's) is not used for that column.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from anomaly.config import Loss, TrainingConfig
from anomaly.training.curves import HistoryRow

CHECK_EVERY = 10
WINDOW = 100
DIVERGENCE_WINDOW = 10
MAX_GROWTH = 100.0
WON_REAL, WON_FAKE = 0.95, 0.05
MIN_DIVERSITY = 0.3
DIVERSITY_FROM = 500  # at first all of G's samples are alike; some hundred steps spread them


@dataclass(frozen=True)
class Finding:
    """One diagnosis by name, the step at which it was made, and a sentence: what was found, and what to change."""

    name: str
    step: int
    advice: str

    def __str__(self) -> str:
        return f"{self.name} at step {self.step:,}: {self.advice}"


@dataclass
class Diagnostics:
    """Reads the rows of one run in order. A resumed run reads its old rows first, so it finds the earlier findings."""

    config: TrainingConfig
    found: list[Finding] = field(default_factory=list)
    _recent: deque[HistoryRow] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _first: list[HistoryRow] = field(default_factory=list)

    def add(self, rows: Sequence[HistoryRow]) -> list[Finding]:
        """The new findings in these rows."""
        num_before = len(self.found)
        for row in rows:
            self._add(row)
        return self.found[num_before:]

    def _add(self, row: HistoryRow) -> None:
        if self._recent and ("loss_d" in self._recent[-1]) != ("loss_d" in row):  # an encoder after the game
            self._recent.clear()
            self._first.clear()
        self._recent.append(row)
        if len(self._first) < DIVERGENCE_WINDOW:
            self._first.append(row)
        if int(row["step"]) % CHECK_EVERY:
            return
        recent, named = list(self._recent), {finding.name for finding in self.found}
        diagnoses: dict[str, Callable[[], str | None]] = {
            "discriminator won": lambda: discriminator_won(recent, self.config),
            "mode collapse": lambda: mode_collapse(recent, self.config),
            "divergence": lambda: divergence(self._first, recent, self.config),
        }
        for name, diagnose in diagnoses.items():
            if name not in named and (advice := diagnose()) is not None:
                self.found.append(Finding(name, int(row["step"]), advice))


def discriminator_won(recent: Sequence[HistoryRow], config: TrainingConfig) -> str | None:
    """D(x) → 1 and D(G(z)) → 0 in the mean of the window. A critic gives no probabilities, so it is left out."""
    d_real, d_fake = _column(recent, "d_real"), _column(recent, "d_fake")
    if config.loss.has_critic or min(len(d_real), len(d_fake)) < WINDOW:
        return None
    if fmean(d_real) <= WON_REAL or fmean(d_fake) >= WON_FAKE:
        return None
    remedies = [
        *(["training.loss=non-saturating"] if config.loss is Loss.MINIMAX else []),
        *([] if config.spectral_norm else ["training.spectral_norm=true"]),
        *([f"a lower training.d_steps than {config.d_steps}"] if config.d_steps > 1 else ["a higher training.g_steps"]),
        f"a lower training.learning_rate than {config.learning_rate:g}",
        "training.loss=wasserstein",
    ]
    return (
        f"over {WINDOW} steps D(x) is {fmean(d_real):.3f} and D(G(z)) {fmean(d_fake):.3f}, so D tells all apart and "
        f"G learns little from it; try --set with {_join(remedies, 'or')}"
    )


def mode_collapse(recent: Sequence[HistoryRow], config: TrainingConfig) -> str | None:
    """G's samples are much more alike than the images of the data, after G's first steps.

    `diversity` is the mean Euclidean distance between G's samples of a batch, divided by that between its images.
    """
    diversity = _column(recent, "diversity")
    if len(diversity) < WINDOW or recent[0]["step"] <= DIVERSITY_FROM or fmean(diversity) >= MIN_DIVERSITY:
        return None
    remedies = [
        *(["training.loss=non-saturating"] if config.loss is Loss.MINIMAX else []),
        *([f"a lower training.g_steps than {config.g_steps}"] if config.g_steps > 1 else ["a higher training.d_steps"]),
        f"a lower training.learning_rate than {config.learning_rate:g}",
        f"a larger training.batch_size than {config.batch_size}",
        *([] if config.loss is Loss.WASSERSTEIN else ["training.loss=wasserstein"]),
    ]
    return (
        f"over {WINDOW} steps G's samples lie {fmean(diversity):.2f} times as far apart as the data's images, so G "
        f"shows few of their kinds; try --set with {_join(remedies, 'or')}"
    )


def divergence(first: Sequence[HistoryRow], recent: Sequence[HistoryRow], config: TrainingConfig) -> str | None:
    """A loss or a gradient's norm that is `MAX_GROWTH` times its size of the first steps, or that of 1.

    Medians of ten steps, so that one wild batch is no divergence; at least 1, since a critic's losses begin near 0.
    """
    if len(recent) < 2 * DIVERGENCE_WINDOW:
        return None
    growth = {}
    for name in ("loss_d", "loss_g", "cycle_x", "izi_f", "grad_d", "grad_g"):
        before, now = _column(first, name), _column(recent[-DIVERGENCE_WINDOW:], name)
        if before and now:
            growth[name] = median(map(abs, now)) / max(median(map(abs, before)), 1.0)
    grown = [f"{name} {factor:,.0f} times" for name, factor in growth.items() if factor > MAX_GROWTH]
    if not grown:
        return None
    remedies = [
        f"a lower training.learning_rate than {config.learning_rate:g}",
        *([] if config.spectral_norm else ["training.spectral_norm=true"]),
        *([f"a lower training.clip_weights than {config.clip_weights:g}"] if config.clip_weights else []),
    ]
    return f"against the first steps, {_join(grown, 'and')} as large; try --set with {_join(remedies, 'or')}"


def _column(rows: Sequence[HistoryRow], name: str) -> list[float]:
    return [row[name] for row in rows if name in row]


def _join(words: Sequence[str], last: str) -> str:
    """A list as in a sentence: a, b `last` c."""
    return ", ".join(words[:-1]) + f" {last} " + words[-1] if len(words) > 1 else words[0]
