"""One training by one process and by several: AUROC on the same test images, and the time of both.

    python -m benchmarks.ranks [--data digits] [--normal 8] [--recipe digits] [--steps 1000] [--seeds 3] [--nproc 1,2]

Each training is `anomaly train … --nproc N`; its bundle scores the test split, in which all other classes are
anomalous. Prints a table in Markdown.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from anomaly.data import open_dataset
from anomaly.inference import load_detector
from anomaly.pipeline.train import TrainOptions, train_bundle

BATCH = 256


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--normal", default="8")
    parser.add_argument("--recipe", default="digits")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--nproc", default="1,2")
    given = parser.parse_args()
    samples = open_dataset(given.data, normal=(given.normal,)).test()
    print("| processes | seed | AUROC, % | seconds |\n|---:|---:|---:|---:|", flush=True)
    for seed in range(given.seeds):
        for nproc in map(int, given.nproc.split(",")):
            with tempfile.TemporaryDirectory() as folder:
                started = time.monotonic()
                train_bundle(
                    TrainOptions(
                        given.data,
                        Path(folder) / "model",
                        recipe=given.recipe,
                        overrides={"training": {"steps": given.steps, "seed": seed}},
                        normal=(given.normal,),
                        nproc=nproc,
                        measures=False,
                    )
                )
                seconds = time.monotonic() - started
                scores = load_detector(Path(folder) / "model").score([sample.source for sample in samples]).score
            auroc = roc_auc_score([sample.label == "anomalous" for sample in samples], np.asarray(scores))
            print(f"| {nproc} | {seed} | {100 * auroc:.2f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
