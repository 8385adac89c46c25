"""AnoGAN's default search against the paper's form, at equal worth: passes, images a second, AUROC.

    python -m benchmarks.search --data MNIST_FOLDER --normal 8 --model out/one_class/mnist-anogan-8-0/model

"default" is the search of the bundle; "paper" has 500 Adam steps from one draw of the prior (Schlegl 2017, §3),
batched as ours is. Both are judged by the AUROC of the bundle's score on a fixed draw of 1,000 test images, each with
the statistics of its own terms on the *select* normals. "per image" is the loop that public reimplementations run:
500 steps on one image after another; it is timed on 64 images, which the default is timed on too.
A pass is one G and one D, forward and back, for one image.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.config import Recipe, SearchConfig
from anomaly.data import PixelStore, Sample, open_dataset, split_normals
from anomaly.evaluation import auroc
from anomaly.inference import Detector, load_detector
from anomaly.inference.torch_engine import TorchEngine
from anomaly.networks import Networks
from anomaly.runtime import to_float
from anomaly.scoring import TermStatistics
from anomaly.scoring.terms import anomaly_score, feature_matching, residual
from benchmarks.stored import stored_networks

PAPER = SearchConfig(start="prior", steps=500, restarts=1, learning_rate=0.1, patience=501)
NUM_TEST, NUM_TIMED = 1000, 64


def main() -> None:
    """Print one line for each search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder with MNIST's IDX files")
    parser.add_argument("--normal", required=True, help="the digit that the bundle was trained on")
    parser.add_argument("--model", type=Path, required=True, help="an AnoGAN bundle")
    args = parser.parse_args()
    detector = load_detector(args.model, device="cpu")
    recipe, networks = detector.bundle.manifest.recipe, stored_networks(detector.bundle)
    assert recipe.search is not None, "the bundle has no latent search"
    dataset = open_dataset(args.data, normal=[args.normal])
    normals = dataset.train_normals()
    split = split_normals(len(normals), seed=recipe.training.seed)
    test = _draw(dataset.test())
    select_pixels, test_pixels = _read(detector, [normals[i] for i in split.select]), _read(detector, test)
    labels = np.array([sample.label == "anomalous" for sample in test], dtype=bool)
    timed = test_pixels[:NUM_TIMED]
    for name, search in (("default", recipe.search), ("paper", PAPER)):
        observer = TorchEngine(networks, recipe.model_copy(update={"search": search}), torch.device("cpu"))
        statistics = TermStatistics.fit(observer.observe(select_pixels)[0])
        value = auroc(statistics.distance(observer.observe(test_pixels)[0]), labels)
        started = time.perf_counter()
        observer.observe(timed)
        rate = len(timed) / (time.perf_counter() - started)
        print(
            f"{name}: AUROC {100 * value:.2f}, at most {search.steps * search.restarts} passes, {rate:.1f} images/s",
            flush=True,
        )
    started = time.perf_counter()
    for image in timed:
        search_alone(networks, to_float(torch.from_numpy(image[None])), recipe)
    print(f"per image: {PAPER.steps} passes, {len(timed) / (time.perf_counter() - started):.3f} images/s")


def search_alone(networks: Networks, x: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """The plain loop: z by Adam on (1 − λ)·R(x) + λ·F(x), one image, no early stop."""
    layer, weight = recipe.score.feature_layer or "", recipe.score.feature_weight
    features = networks.judge(x).features[layer]
    z = torch.randn(1, networks.plan.latent_dim, requires_grad=True)
    optimizer = torch.optim.Adam([z], lr=PAPER.learning_rate)
    for _ in range(PAPER.steps):
        x_hat = networks.G(z)
        discrimination = feature_matching(features, networks.judge(x_hat).features[layer])
        loss = anomaly_score(residual(x, x_hat), discrimination, weight).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return z.detach()


def _draw(samples: list[Sample]) -> list[Sample]:
    rows = np.random.default_rng(0).choice(len(samples), min(NUM_TEST, len(samples)), replace=False)
    return [samples[row] for row in np.sort(rows)]


def _read(detector: Detector, samples: list[Sample]) -> NDArray[np.uint8]:
    with TemporaryDirectory() as folder:
        return np.array(PixelStore.build(samples, detector.preprocess, Path(folder) / "pixels.u8").pixels)


if __name__ == "__main__":
    main()
