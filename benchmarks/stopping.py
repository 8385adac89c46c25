"""How near the stop criterion, which sees normal images alone, comes to the best checkpoint in hindsight.

    python -m benchmarks.stopping --data MNIST_FOLDER [--digits 0,1,…]   # train what results/stopping.jsonl lacks
    python -m benchmarks.stopping --table                                # the rows as Markdown

Each digit is one run of the recipe `digits`, judged every 100 steps: by the criterion on its *select* normals, and by
the AUROC on a fixed draw of test images, which nothing but this comparison uses. The checkpoints lie where
`benchmarks.one_class` trains, so that it finds these runs done. Killed, it goes on where it was.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.data import PixelStore, Sample, open_dataset, split_normals
from anomaly.evaluation import auroc
from anomaly.inference.torch_engine import TorchEngine
from anomaly.recipes import read_recipe, to_recipe
from anomaly.scoring import TermStatistics
from anomaly.training import Checkpoint, HistoryRow, Trained, fit
from anomaly.training.fit import JUDGE_EVERY
from benchmarks.rows import FOLDER, Row, append_row, read_rows

RESULTS = FOLDER / "stopping.jsonl"
NUM_TEST = 2000
RECIPE = to_recipe(read_recipe("digits").sections)
TRAINING, PREPROCESS = RECIPE.training, RECIPE.preprocess
CPU = torch.device("cpu")


def main() -> None:
    """Train and judge what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="the folder with MNIST's IDX files")
    parser.add_argument("--digits", default="0,1,2,3,4,5,6,7,8,9")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--models", type=Path, default=Path("out/one_class"), help="where the checkpoints go")
    parser.add_argument("--table", action="store_true", help="print the rows there are")
    args = parser.parse_args()
    if args.table or args.data is None:
        print(to_markdown(read_rows(args.results)))
        return
    for digit in args.digits.split(","):
        if digit not in {row["digit"] for row in read_rows(args.results)}:
            row = measure(digit, args.data, args.models / f"mnist-bigan-{digit}-{TRAINING.seed}" / ".training")
            append_row(args.results, row)
            print(to_markdown([row]).splitlines()[2], flush=True)


def measure(digit: str, data: str, work: Path) -> Row:
    """The criterion and the AUROC of each 100th step."""
    dataset = open_dataset(data, normal=[digit])
    work.mkdir(parents=True, exist_ok=True)
    store = PixelStore.build(dataset.train_normals(), PREPROCESS, work / "stopping.u8")
    pixels = np.asarray(store.pixels)
    split = split_normals(len(pixels), seed=TRAINING.seed)
    select = pixels[split.select]
    test = _draw(dataset.test())
    test_pixels = np.asarray(PixelStore.build(test, PREPROCESS, work / "stopping-test.u8").pixels)
    labels = np.array([sample.label == "anomalous" for sample in test], dtype=bool)
    checkpoint = Checkpoint(work / "checkpoint.safetensors", store.fingerprint())
    aurocs: list[float] = []
    train_s = 0.0
    while True:
        started = time.monotonic()
        trained = fit(
            pixels,
            np.array(split.train),
            RECIPE.plan,
            TRAINING,
            device=CPU,
            checkpoint=Checkpoint(checkpoint.path, checkpoint.data, resume=bool(aurocs)),
            select=np.array(split.select),
            should_stop=_after(JUDGE_EVERY * (len(aurocs) + 1)),
        )
        train_s += time.monotonic() - started
        aurocs.append(_auroc(trained, select, test_pixels, labels))
        if trained.num_steps >= TRAINING.steps:
            break
    for name in ("stopping.u8", "stopping-test.u8"):
        (work / name).unlink()
    return {
        "digit": digit,
        "steps": [int(row["step"]) for row in trained.history if "criterion" in row],
        "criterion": [row["criterion"] for row in trained.history if "criterion" in row],
        "auroc": aurocs,
        "train_s": round(train_s, 1),
    }


def to_markdown(rows: list[Row]) -> str:
    """AUROC in %: of the step that the criterion chooses, of the last one, and of the best in hindsight."""
    lines = [
        "| digit | by the criterion | at step | last | best in hindsight | at step | criterion behind by |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: str(row["digit"])):
        chosen, best = int(np.argmin(row["criterion"])), int(np.argmax(row["auroc"]))
        by_criterion, last, highest = (100 * row["auroc"][i] for i in (chosen, -1, best))
        lines.append(
            f"| {row['digit']} | {by_criterion:.1f} | {row['steps'][chosen]} | {last:.1f} | {highest:.1f} "
            f"| {row['steps'][best]} | {highest - by_criterion:.1f} |"
        )
    return "\n".join(lines)


def _draw(samples: list[Sample]) -> list[Sample]:
    rows = np.random.default_rng(0).choice(len(samples), min(NUM_TEST, len(samples)), replace=False)
    return [samples[row] for row in np.sort(rows)]


def _after(step: int) -> Any:
    def should_stop(done: int, row: HistoryRow) -> bool:
        return done >= step

    return should_stop


def _auroc(trained: Trained, select: NDArray[np.uint8], pixels: NDArray[np.uint8], labels: NDArray[np.bool_]) -> float:
    """Of the default score, with the statistics of the terms as this checkpoint has them."""
    observer = TorchEngine(trained.networks, RECIPE, CPU)
    statistics = TermStatistics.fit(observer.observe(select)[0])
    return auroc(statistics.distance(observer.observe(pixels)[0]), labels)


if __name__ == "__main__":
    main()
