"""How often the 95 % interval of an AUROC holds the true one, beside the percentile bootstrap that it replaced.

    python -m benchmarks.intervals [--sets 2000]

Simulated test sets: normals are N(0, 1), anomalies lie higher by what the true AUROC needs. Pictures of one part
correlate at 0.8. The bootstrap redraws normal parts and single anomalies, as it did.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from anomaly.evaluation.metrics import auroc, image_metrics

CORRELATION = 0.8  # of pictures of one part
NUM_REDRAWN = 400
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Parts of either class, pictures of each, the true AUROC, and how widely anomalies are spread."""

    num_normal: int
    num_anomalous: int
    truth: float
    pictures: int = 1
    spread: float = 1.0

    @property
    def name(self) -> str:
        """As the table has it."""
        more = f", {self.pictures} pictures of each" if self.pictures > 1 else ""
        more += f", anomalies spread {self.spread:g} times as widely" if self.spread != 1 else ""
        return f"{self.num_normal:,} + {self.num_anomalous}{more}"

    def draw(self, rng: np.random.Generator) -> tuple[FloatArray, NDArray[np.bool_], list[str]]:
        """Scores, labels and parts of one test set."""
        num = self.num_normal + self.num_anomalous
        shown = np.repeat(np.arange(num), self.pictures)
        labels = shown >= self.num_normal
        scores = CORRELATION**0.5 * rng.normal(size=num)[shown]
        scores += (1 - CORRELATION) ** 0.5 * rng.normal(size=len(shown))
        shift = np.hypot(1, self.spread) * ndtri(self.truth)
        return np.where(labels, shift + self.spread * scores, scores), labels, [f"part {part}" for part in shown]


CASES = (
    Case(1000, 10, 0.95),
    Case(1000, 20, 0.99),
    Case(1000, 20, 0.9, spread=3.0),
    Case(30, 30, 0.8),
    Case(100, 100, 0.95),
    Case(30, 30, 0.9, pictures=8),
    Case(100, 10, 0.9, pictures=8),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=2000, help="test sets of each case")
    num_sets = parser.parse_args(arguments).sets
    print("| normal + anomalous parts | true AUROC | bootstrap | today's |\n|---|---|---|---|")
    for case in CASES:
        before, now = coverage(case, num_sets)
        print(f"| {case.name} | {case.truth:g} | {before:.0%} | {now:.0%} |", flush=True)


def coverage(case: Case, num_sets: int) -> tuple[float, float]:
    """The shares of test sets whose interval holds the true AUROC: by the bootstrap, and by `image_metrics`."""
    held = np.zeros((num_sets, 2))
    for seed in range(num_sets):
        scores, labels, parts = case.draw(np.random.default_rng(seed))
        intervals = (
            bootstrap(scores, labels, case.pictures, seed),
            image_metrics(scores, labels, parts=parts).auroc_ci95,
        )
        held[seed] = [low <= case.truth <= high for low, high in intervals]
    before, now = held.mean(axis=0).tolist()
    return before, now


def bootstrap(scores: FloatArray, labels: NDArray[np.bool_], pictures: int, seed: int) -> tuple[float, float]:
    """The 2.5 and 97.5 % quantiles of the AUROCs of redrawn test sets."""
    rng = np.random.default_rng(seed)
    normal, anomalous = scores[~labels].reshape(-1, pictures), scores[labels]
    found = []
    for _ in range(NUM_REDRAWN):
        redrawn = normal[rng.integers(len(normal), size=len(normal))].ravel()
        anomalies = rng.choice(anomalous, len(anomalous))
        both = np.concatenate([redrawn, anomalies])
        found.append(auroc(both, np.arange(len(both)) >= len(redrawn)))
    low, high = np.quantile(found, [0.025, 0.975]).tolist()
    return low, high


if __name__ == "__main__":
    main()
