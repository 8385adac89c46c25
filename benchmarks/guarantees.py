"""The guarantees on false alarms, on the runs of `benchmarks.one_class`.

    python -m benchmarks.guarantees [--models out/one_class]

False alarms: the scores of normals that trained nothing are split at random, 200 times, into a half that calibrates and
a half that is tested. A bundle's own calibration scores are such normals; where the test split was drawn from the same
pool (magnetic tiles, ELPV), its normals are too. Exchangeability alone implies how the number of flagged ones is
distributed, beta-binomially, whatever the detector; the mean share has to lie in the 99 % interval of such means.
On an official test split (other writers, other lots) the flagged share is shown as it is.

False discoveries: mixtures of normals that trained nothing and a tenth of anomalous test images, 200 draws, flagged by
Benjamini–Hochberg; the mean share of false ones among the flagged, and the share of the anomalous that is found.
"""

import argparse
import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import load
from anomaly.calibration import Calibration, is_above, num_needed, reject_fdr

FloatArray = NDArray[np.float64]
NUM_SPLITS = 200
ALPHAS = (0.01, 0.05, 0.1)
RATES = (0.05, 0.1, 0.2)
SAME_POOL = ("magnetic-tile", "elpv-mono")
_Z99 = 2.5758  # of the normal distribution that a mean of 200 shares follows


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("out/one_class"), help="where the runs are")
    folders = sorted(path.parent for path in parser.parse_args().models.glob("*/report"))
    print("| run | alpha | normals | flagged, mean of 200 | 99 % interval | inside | official test split |")
    print("|---|---|---|---|---|---|---|")
    for folder in folders:
        print("\n".join(false_alarms(folder)))
    print("\n| run | rate | false among the flagged | anomalous found |\n|---|---|---|---|")
    for folder in folders:
        print("\n".join(false_discoveries(folder)))


def false_alarms(folder: Path) -> Iterator[str]:
    """A line an alpha that half of the normals suffice for."""
    calibration, normal, _ = _scores(folder)
    is_same_pool = _is_same_pool(folder)
    pool = np.concatenate([calibration, normal]) if is_same_pool else calibration
    n = len(pool) // 2
    rng = np.random.default_rng(0)
    splits = [rng.permutation(pool) for _ in range(NUM_SPLITS)]
    for alpha in ALPHAS:
        if n < num_needed(alpha):
            continue
        mean = float(np.mean([_share_flagged(scores[:n], scores[n:], alpha) for scores in splits]))
        low, high = mean_share_interval(alpha, n, len(pool) - n)
        official = "–" if is_same_pool else f"{100 * _share_flagged(calibration, normal, alpha):.1f}"
        interval = f"{100 * low:.2f}–{100 * high:.2f} | {'yes' if low <= mean <= high else 'NO'}"
        yield f"| {folder.name} | {alpha:g} | {n} + {len(pool) - n} | {100 * mean:.2f} | {interval} | {official} |"


def _share_flagged(calibration: FloatArray, scores: FloatArray, alpha: float) -> float:
    threshold = Calibration.fit(calibration).threshold(alpha)
    assert threshold is not None
    return float(is_above(scores, threshold).mean())


def mean_share_interval(alpha: float, n: int, m: int) -> tuple[float, float]:
    """Of the mean over the splits of the share of m exchangeable scores that n calibration scores flag, at 99 %.

    The number flagged is beta-binomial with parameters k and n + 1 − k, where k = ⌊alpha·(n + 1)⌋.
    """
    k = math.floor(alpha * (n + 1))
    share = k / (n + 1)
    variance = share * (1 - share) * (n + 1 + m) / ((n + 2) * m)
    half = _Z99 * math.sqrt(variance / NUM_SPLITS)
    return share - half, share + half


def false_discoveries(folder: Path) -> Iterator[str]:
    """A line a rate: nine normals to an anomalous image, p-values from the other half of the normals."""
    calibration, normal, anomalous = _scores(folder)
    pool = np.concatenate([calibration, normal]) if _is_same_pool(folder) else calibration
    n = len(pool) // 2
    num_anomalous = min((len(pool) - n) // 9, len(anomalous))
    for rate in RATES:
        rng = np.random.default_rng(0)
        false, found = [], []
        for _ in range(NUM_SPLITS):
            scores = rng.permutation(pool)
            mixed = np.concatenate([scores[n:], rng.choice(anomalous, num_anomalous, replace=False)])
            flagged = reject_fdr(Calibration.fit(scores[:n]).p_values(mixed), rate)
            false.append(flagged[: len(pool) - n].sum() / max(flagged.sum(), 1))
            found.append(flagged[len(pool) - n :].mean())
        yield f"| {folder.name} | {rate:g} | {100 * np.mean(false):.1f} % | {100 * np.mean(found):.1f} % |"


def _is_same_pool(folder: Path) -> bool:
    """Tiles held out whole are other tiles, though of the same make."""
    return folder.name.startswith(SAME_POOL) and not folder.name.startswith("magnetic-tile-apart")


def _scores(folder: Path) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of the normals that calibrate, of the normal and of the anomalous test images."""
    with (folder / "report" / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    normal, anomalous = (
        np.array([float(row["score"]) for row in rows if row["label"] == label]) for label in ("normal", "anomalous")
    )
    return load(folder / "model").contents.calibration.scores, normal, anomalous


if __name__ == "__main__":
    main()
