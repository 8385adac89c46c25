"""PyOD's ALAD and DeepSVDD on vectors of pixels, every argument at PyOD's default but a seed.

What PyOD calls an epoch of ALAD is one batch of 32 images, and its default is 200 of them: a second of training. With
`--train-on` its own `train_more` goes on until the time given is over.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from running import read_vectors, run  # type: ignore[import-not-found]

STEPS = 50  # batches between two looks at the clock


def train(files: list[Path], model: Path, options: argparse.Namespace) -> None:
    """Neither detector can be told a time: DeepSVDD ends after its 100 epochs, however long they take."""
    ends = time.monotonic() + 60 * options.minutes
    np.random.seed(0)  # PyOD draws from numpy's global generator
    torch.manual_seed(0)
    detector: Any
    if options.detector == "alad":
        from pyod.models.alad import ALAD  # type: ignore[import-not-found]

        detector = ALAD()
    else:
        from pyod.models.deep_svdd import DeepSVDD  # type: ignore[import-not-found]

        detector = DeepSVDD(n_features=options.side**2, random_state=0, verbose=0)
    x = read_vectors(files, options.side)
    detector.fit(x)
    if options.train_on:
        batches = detector.epochs
        while time.monotonic() < ends:
            detector.train_more(x, epochs=STEPS)
            batches += STEPS
        print(f"{batches} batches")
    joblib.dump(detector, model / "model.joblib")


def load(model: Path, side: int) -> Callable[[list[Path]], Any]:
    """PyOD's own way to keep a model is joblib."""
    detector = joblib.load(model / "model.joblib")
    return lambda files: detector.decision_function(read_vectors(files, side))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detector", choices=["alad", "deep-svdd"])
    parser.add_argument("--train-on", action="store_true", help="ALAD for all of the time")
    run(parser, train, load)
