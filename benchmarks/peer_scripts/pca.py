"""PCA of pixels by scikit-learn: 50 components, and the mean squared error of the reconstruction."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
from running import read_vectors, run  # type: ignore[import-not-found]
from sklearn.decomposition import PCA

COMPONENTS = 50


def train(files: list[Path], model: Path, options: argparse.Namespace) -> None:
    """Fits in one go, so that no time limit is needed."""
    pca = PCA(min(COMPONENTS, len(files)), random_state=0).fit(read_vectors(files, options.side))
    joblib.dump(pca, model / "model.joblib")


def load(model: Path, side: int) -> Callable[[list[Path]], Any]:
    """The errors of a batch of files."""
    pca = joblib.load(model / "model.joblib")

    def score(files: list[Path]) -> Any:
        x = read_vectors(files, side)
        return ((x - pca.inverse_transform(pca.transform(x))) ** 2).mean(1)

    return score


if __name__ == "__main__":
    run(argparse.ArgumentParser(description=__doc__), train, load)
