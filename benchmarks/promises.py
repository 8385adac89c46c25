"""What the promises on false alarms do not say: of one model, a part, one call, chosen images, sides in a fixed order.

    python -m benchmarks.promises [--draws 400]

All scores are simulated, Gaussian with a standard deviation of 1, and judged by the functions that judge images. It
prints the figures of docs/guarantees.md, of docs/guide.md on `anomaly calibrate`, and of docs/drift.md on sides.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm

from anomaly.calibration import Calibration, Drift, is_above, num_allowed, reject_fdr
from anomaly.pipeline.calibrate import warning_of_unlike

FloatArray = NDArray[np.float64]
ALPHAS = (0.01, 0.05, 0.1)
ALPHA = 0.05
NUM_CALIBRATION = 99
NUM_SIDES, NUM_PARTS = 4, 500


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=400, help="of each simulation")
    draws = parser.parse_args(arguments).draws
    print("| calibrate images | alpha 1 % | alpha 5 % | alpha 10 % |\n|---|---|---|---|")
    for num in (19, 39, 99, 199, 592, 2000, 10_000):
        print(f"| {num:,} | {' | '.join(one_model(alpha, num) for alpha in ALPHAS)} |")
    print("\n| pictures of a part | correlation | a picture is flagged | any of the part is |\n|---|---|---|---|")
    for correlation in (0.5, 0.8):
        for pictures in (2, 6, 10):
            one, any_of = parts(pictures, correlation, draws)
            print(f"| {pictures} | {correlation} | {one:.1%} | {any_of:.1%} |", flush=True)
    print("\n| q | false among the flagged, mean | calls with more than q |\n|---|---|---|")
    for q in (0.05, 0.2):
        mean, more = calls(q, 5 * draws)
        print(f"| {q} | {mean:.1%} | {more:.0%} |", flush=True)
    print("\n| calibrated with | false alarms, 5 % asked for | warned |\n|---|---|---|")
    for name in SELECTIONS:
        rate, warned = selected(name, draws)
        print(f"| {name} | {rate:.1%} | {warned:.0%} |", flush=True)
    print("\n| the sides differ by | alarm, in one order | in random order |\n|---|---|---|")
    for spread in (0.2, 0.5, 1.0):
        found = [sides(spread, max(draws // 4, 1), is_random=is_random) for is_random in (False, True)]
        print(f"| {spread:g} | {found[0]} of {max(draws // 4, 1)} | {found[1]} |", flush=True)


def one_model(alpha: float, num_calibration: int) -> str:
    """The middle 95 % of the shares of normals above the threshold of one model, in the long run."""
    k = num_allowed(alpha, num_calibration)
    if not k:
        return "no threshold"
    low, high = beta(k, num_calibration + 1 - k).ppf([0.025, 0.975])
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def parts(pictures: int, correlation: float, draws: int) -> tuple[float, float]:
    """The share of normal pictures that are flagged, and of parts of which any is; one of each part calibrates."""
    found = np.zeros((draws, 2))
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        calibration = Calibration.fit(rng.normal(size=NUM_CALIBRATION))
        scores = correlation**0.5 * rng.normal(size=(200, 1)) + (1 - correlation) ** 0.5 * rng.normal(
            size=(200, pictures)
        )
        is_flagged = is_above(scores, calibration.threshold(ALPHA))
        found[seed] = is_flagged.mean(), is_flagged.any(axis=1).mean()
    one, any_of = found.mean(axis=0).tolist()
    return one, any_of


def calls(q: float, draws: int) -> tuple[float, float]:
    """The mean share of false ones among the flagged of 90 normals and 10 anomalies, and how often it is above q."""
    shares = np.zeros(draws)
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        calibration = Calibration.fit(rng.normal(size=999))
        is_flagged = reject_fdr(calibration.p_values(np.r_[rng.normal(size=90), rng.normal(3.5, size=10)]), q)
        shares[seed] = is_flagged[:90].sum() / max(is_flagged.sum(), 1)
    return float(shares.mean()), float((shares > q).mean())


SELECTIONS = {"all": (1.0, 1.0), "those that passed": (1.0, 0.0), "all flagged, a tenth of the others": (0.1, 1.0)}
"""The shares of the images that passed, and of those that were flagged, which calibrate."""


def selected(name: str, draws: int) -> tuple[float, float]:
    """The false-alarm rate of 200 images that calibrate after 592 others have; how often `calibrate` warns of them."""
    rates, warned = np.zeros(draws), 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        old = Calibration.fit(rng.normal(size=592))
        good = rng.normal(size=4000)
        of_passed, of_flagged = SELECTIONS[name]
        is_kept = rng.random(4000) < np.where(is_above(good, old.threshold(ALPHA)), of_flagged, of_passed)
        new = Calibration.fit(good[is_kept][:200])
        rates[seed] = norm.sf(new.threshold(ALPHA) or np.inf)
        warned += warning_of_unlike(old, new, 1) is not None
    return float(rates.mean()), warned / draws


def sides(spread: float, draws: int, *, is_random: bool) -> int:
    """How many steady streams of parts set off the alarm at 1 %: each of NUM_SIDES pictures, in one order or another.

    `spread` is the standard deviation of the mean scores of the sides; pictures of one part correlate at 0.64.
    """
    means = np.arange(NUM_SIDES) - (NUM_SIDES - 1) / 2
    means = spread * means / means.std()
    num_alarms = 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        calibration = rng.normal(size=NUM_CALIBRATION) + rng.choice(means, NUM_CALIBRATION)
        drift = Drift(np.sort(calibration), rate=0.01, rng=np.random.default_rng([seed, 1]))
        for number, part in enumerate(rng.normal(size=NUM_PARTS).tolist()):
            for mean in rng.permutation(means) if is_random else means:
                drift.add(float(mean) + 0.8 * part + 0.6 * rng.normal(), 0.5, f"part {number}")
        num_alarms += drift.alarm_at is not None
    return num_alarms


if __name__ == "__main__":
    main()
