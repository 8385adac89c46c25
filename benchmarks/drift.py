"""The drift alarm: is it quiet while nothing changes, and how soon does it find what does?

    python -m benchmarks.drift                          # steady streams, what p-values alone would do, rare anomalies
    python -m benchmarks.drift --data MNIST_FOLDER      # and MNIST's test images, changed
    python -m benchmarks.drift --figure docs/images/drift.png

1. 100 streams of 100,000 scores drawn as the calibration scores are, with as many of these as `models/mnist` has: how
   many set off the alarm at a rate of 1 %? The scores are drawn from a normal distribution; ranks do not see which.
2. The same bets on p-values of the calibration alone, which are not independent: how many of those streams alarm?
3. 200 steady scores, then up to 5,000 of which 1 % or 5 % lie beyond everything, by the size of the calibration set.
4. 200 unchanged test zeros, then changed ones, in 100 random orders, against the calibration of `models/mnist`: how
   many images after the change does the alarm go off, and in how many streams, before the 980 zeros run out?

No figure here has chosen a bet, a rate or a weight.
"""

import argparse
from collections.abc import Callable
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from anomaly.calibration import Martingale, OnlineRanks
from anomaly.calibration.drift import Trajectory
from anomaly.calibration.ranks import Rank
from anomaly.data import open_dataset
from anomaly.inference import load_detector
from anomaly.report.plots import LIGHT, dress

FloatArray = NDArray[np.float64]
Pixels = NDArray[np.uint8]
ALARM = 2.0  # log10 of 1 / (1 %)
NUM_STREAMS, NUM_SCORES, NUM_CALIBRATION = 100, 100_000, 592
NUM_STEADY, NUM_RARE = 200, 5_000
MODEL = Path("models/mnist")


class FixedRanks(OnlineRanks):
    """Ranks among the calibration scores alone: smoothed conformal p-values, as they are usually had."""

    def add(self, score: float) -> Rank:
        """Find the rank of a score, and do not count it."""
        return self._rank(score)


def main() -> None:
    """Print the tables, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of MNIST's files")
    parser.add_argument("--figure", type=Path, help="draw streams of 10,000 scores of both kinds into this PNG")
    parser.add_argument("--streams", type=int, default=NUM_STREAMS)
    parser.add_argument("--scores", type=int, default=NUM_SCORES)
    parser.add_argument("--first", type=int, default=0, help="the first stream's number, which draws it")
    options = parser.parse_args()
    if options.figure:
        draw(options.figure)
    elif options.data:
        print(
            "| change after 200 test zeros | found | images until the alarm: median, 90th percentile |\n|---|---|---|"
        )
        for name, delays in changed(options.data).items():
            print(line(name, delays))
    else:
        steady(options.first, options.streams, options.scores)
        rare(options.streams)


def steady(first: int, num_streams: int, num_scores: int) -> None:
    """How many steady streams alarm, by exact ranks and by p-values of the calibration alone."""
    print(f"| {num_streams} steady streams of {num_scores:,} scores, {NUM_CALIBRATION} calibration scores | alarms |")
    print("|---|---|")
    with Pool() as pool:
        for name, kind in (("ranks among calibration and stream", OnlineRanks), ("p-values alone", FixedRanks)):
            alarms = pool.map(partial(first_alarm, kind, num_scores), range(first, first + num_streams))
            at = [alarm for alarm in alarms if alarm is not None]
            when = f", half of them by score {int(np.median(at)):,}" if at else ""
            print(f"| {name} | {len(at)}{when} |", flush=True)


def first_alarm(kind: type[OnlineRanks], num_scores: int, seed: int) -> int | None:
    """Where a steady stream sets off the alarm."""
    calibration, stream = draw_steady(num_scores, seed)
    return bet(kind(calibration, np.random.default_rng([seed, 1])), stream)


def rare(num_streams: int) -> None:
    """How soon scores that lie beyond everything are found, by their share and the number of calibration scores."""
    print("| after 200 steady scores | calibration scores | found | scores until the alarm: median, 90th percentile |")
    print("|---|---|---|---|")
    with Pool() as pool:
        for share in (0.01, 0.05):
            for num_calibration in (NUM_CALIBRATION, 10 * NUM_CALIBRATION):
                delays = pool.map(partial(first_alarm_of_rare, share, num_calibration), range(num_streams))
                print(line(f"{100 * share:g} % beyond everything | {num_calibration:,}", delays), flush=True)


def first_alarm_of_rare(share: float, num_calibration: int, seed: int) -> int | None:
    """Where a stream with a share of scores beyond everything sets off the alarm, from the change on."""
    calibration, stream = draw_steady(NUM_STEADY + NUM_RARE, seed, num_calibration)
    rng = np.random.default_rng([seed, 1])
    is_beyond = rng.random(len(stream)) < share
    is_beyond[:NUM_STEADY] = False
    alarm_at = bet(OnlineRanks(calibration, rng), np.where(is_beyond, np.inf, stream))
    return None if alarm_at is None else alarm_at - NUM_STEADY


def draw_steady(num_scores: int, seed: int, num_calibration: int = NUM_CALIBRATION) -> tuple[FloatArray, FloatArray]:
    """A calibration set, ascending, and a stream like it."""
    rng = np.random.default_rng([seed, 0])
    return np.sort(rng.normal(size=num_calibration)), rng.normal(size=num_scores)


def bet(ranks: OnlineRanks, scores: FloatArray, trajectory: Trajectory | None = None) -> int | None:
    """The number of the score that sets off the alarm; with a trajectory, go on to the end."""
    martingale, alarm_at = Martingale(ranks), None
    for score in scores.tolist():
        martingale.add(score)
        if martingale.log10 >= ALARM and alarm_at is None:
            alarm_at = martingale.num_scores
        if trajectory is not None:
            trajectory.add(martingale.num_scores, martingale.log10)
        elif alarm_at is not None:
            break
    return alarm_at


def changed(data: Path) -> dict[str, list[int | None]]:
    """Images from the change to the alarm, by kind of change, in 100 orders of the test zeros; None: not found."""
    detector = load_detector(MODEL, device="cpu")
    test = [sample for sample in open_dataset(str(data), normal=("0",)).samples if sample.split == "test"]
    zeros = np.stack([sample.pixels for sample in test if sample.label == "normal" and sample.pixels is not None])
    others = np.stack([sample.pixels for sample in test if sample.label == "anomalous" and sample.pixels is not None])

    def score(images: Pixels) -> FloatArray:
        return np.asarray(detector.score(list(images)).score, np.float64)

    plain, anomalous = score(zeros), score(others)
    changes: dict[str, Callable[[Pixels], Pixels]] = {
        "brightness + 10 of 255": partial(brighten, by=10),
        "brightness + 30 of 255": partial(brighten, by=30),
        "blur, σ = 0.5 pixels": partial(blur, sigma=0.5),
        "blur, σ = 1 pixel": partial(blur, sigma=1.0),
    }
    calibration = detector.bundle.contents.calibration.scores
    delays = {"none": delay(calibration, plain, lambda order, rng: plain[order])}
    for name, change in changes.items():
        moved = score(change(zeros))
        delays[name] = delay(calibration, plain, lambda order, rng, moved=moved: moved[order])  # type: ignore[misc]
    for share in (0.01, 0.05):
        mixed = partial(mix, plain=plain, anomalous=anomalous, share=share)
        delays[f"{100 * share:g} % of other digits"] = delay(calibration, plain, mixed)
    return delays


def delay(
    calibration: FloatArray, plain: FloatArray, after: Callable[[NDArray[np.int64], np.random.Generator], FloatArray]
) -> list[int | None]:
    """For each order: NUM_STEADY plain scores, then what `after` makes of the rest."""
    found: list[int | None] = []
    for seed in range(NUM_STREAMS):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(plain))
        stream = np.concatenate([plain[order[:NUM_STEADY]], after(order[NUM_STEADY:], rng)])
        alarm_at = bet(OnlineRanks(calibration, rng), stream)
        found.append(None if alarm_at is None else alarm_at - NUM_STEADY)
    return found


def mix(
    order: NDArray[np.int64], rng: np.random.Generator, *, plain: FloatArray, anomalous: FloatArray, share: float
) -> FloatArray:
    """Scores of which a share is of anomalous images."""
    return np.where(rng.random(len(order)) < share, rng.choice(anomalous, len(order)), plain[order])


def brighten(images: Pixels, *, by: int) -> Pixels:
    """Every pixel, up to white."""
    return np.clip(images.astype(np.int64) + by, 0, 255).astype(np.uint8)


def blur(images: Pixels, *, sigma: float) -> Pixels:
    """By a Gaussian."""
    return np.stack([np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma))) for image in images])


def line(name: str, delays: list[int | None]) -> str:
    """A table's line: alarms before the change are none of it, and are said."""
    late = [each for each in delays if each is not None and each > 0]
    early = sum(each is not None and each <= 0 for each in delays)
    when = f"{np.median(late):.0f}, {np.percentile(late, 90):.0f}" if late else "–"
    before = f", {early} before the change" if early else ""
    return f"| {name} | {len(late)} of {len(delays)}{before} | {when} |"


def draw(path: Path) -> None:
    """Twenty steady streams of each kind, on the same scores."""
    figure = Figure((9.2, 3.7), dpi=150, layout="constrained", facecolor=LIGHT.paper)
    for axes, kind, title in zip(
        figure.subplots(1, 2, sharey=True),
        (OnlineRanks, FixedRanks),
        ("Ranks among calibration and stream", "p-values of the calibration alone"),
        strict=True,
    ):
        for seed in range(20):
            calibration, stream = draw_steady(10_000, seed)
            trajectory = Trajectory()
            bet(kind(calibration, np.random.default_rng([seed, 1])), stream, trajectory)
            n, log10 = zip(*trajectory.points, strict=True)
            axes.plot(n, log10, color=LIGHT.normal, linewidth=0.8, alpha=0.7)
        axes.axhline(ALARM, color=LIGHT.anomalous, linewidth=1.2)
        axes.annotate("alarm at 1 %", (10_000, ALARM), (0, 4), textcoords="offset points", ha="right", color=LIGHT.ink)
        axes.set(title=title, xlabel="scores of a steady stream", ylabel="log₁₀ of the martingale", ylim=(-3, 12))
        dress(axes, LIGHT)
    figure.savefig(path)


if __name__ == "__main__":
    main()
