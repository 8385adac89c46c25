"""The guarantees on false alarms, on the runs of `benchmarks.one_class`.

    python -m benchmarks.guarantees [--models out/one_class]

False alarms: the normal test images that a bundle flags by its own threshold. Where they were drawn from the pool that
also gave its *calibrate* images (magnetic tiles, ELPV), exchangeability alone implies how the number of flagged ones is
distributed, beta-binomially, whatever the detector; the share has to lie in the 95 % interval. If *calibrate* had been
trained on, it would not. On an official test split (other writers, other lots) nothing is promised, and the share is
shown beside the same interval.

False discoveries: mixtures of normals that trained nothing and a tenth of anomalous test images, 200 draws, flagged by
Benjamini–Hochberg; the mean share of false ones among the flagged, and the share of the anomalous that is found. The
normals are halved at random into those that calibrate and those that are mixed, so this checks the procedure alone.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import load
from anomaly.calibration import Calibration, is_above, reject_fdr
from benchmarks.parts_tables import false_alarm_interval

FloatArray = NDArray[np.float64]
NUM_DRAWS = 200
ALPHAS = (0.01, 0.05, 0.1)
RATES = (0.05, 0.1, 0.2)
SAME_POOL = ("magnetic-tile", "elpv-mono")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("out/one_class"), help="where the runs are")
    models = parser.parse_args().models
    folders = sorted(path.parent for path in models.glob("*/report"))
    if not folders:
        parser.error(f"{models} has no run with a report; `python -m benchmarks.one_class` makes one, or give --models")
    print("| run | pool | alpha | calibrate | test normals | flagged, % | 95 % interval | inside |")
    print("|---" * 8 + "|")
    for folder in folders:
        print("\n".join(false_alarms(folder)))
    print("\n| run | rate | false among the flagged | anomalous found |\n|---|---|---|---|")
    for folder in folders:
        print("\n".join(false_discoveries(folder)))


def false_alarms(folder: Path) -> Iterator[str]:
    """A line for each alpha that the calibration images suffice for."""
    calibration, normal, _ = _scores(folder)
    pool = "the same" if _is_same_pool(folder) else "another"
    for alpha in ALPHAS:
        threshold = Calibration.fit(calibration).threshold(alpha)
        if threshold is None:
            continue
        share = float(is_above(normal, threshold).mean())
        low, high = false_alarm_interval(alpha, len(calibration), len(normal))
        is_inside = "yes" if low <= share <= high else "no"
        cells = [folder.name, pool, f"{alpha:g}", f"{len(calibration)}", f"{len(normal)}", f"{100 * share:.1f}"]
        yield f"| {' | '.join(cells)} | {100 * low:.1f}–{100 * high:.1f} | {is_inside} |"


def false_discoveries(folder: Path) -> Iterator[str]:
    """A line for each rate: nine normals to an anomalous image, p-values from the other half of the normals."""
    calibration, normal, anomalous = _scores(folder)
    pool = np.concatenate([calibration, normal]) if _is_same_pool(folder) else calibration
    n = len(pool) // 2
    num_anomalous = min((len(pool) - n) // 9, len(anomalous))
    for rate in RATES:
        rng = np.random.default_rng(0)
        false, found = [], []
        for _ in range(NUM_DRAWS):
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
