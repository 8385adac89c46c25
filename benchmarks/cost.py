"""What scoring costs, as ratios within one run: machines differ, ratios less so.

    python -m benchmarks.cost --data MNIST_FOLDER [--models models]

1. `Detector.score` on images in memory against the bare networks it needs (E, G, D twice) at the best batch size,
   channels-last, in the same precision.
2. `anomaly score` on PNG files, start-up apart, against 1 / (1/decode + 1/score).
3. AnoGAN's search an image in a batch of 256 against an unpadded search, one image at a time.
4. The evidence (z_hat, x_hat, terms) in bf16 against the same in fp32, and how far scores then differ; at 256 × 256
   pixels by the recipe `surfaces`, of networks that have learnt nothing.

Each figure is the best of several rounds in turn, so that a busy neighbour slows all of them or none.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import torch

import anomaly
from anomaly.config import Precision, Recipe, SearchConfig
from anomaly.data import Picture, Pixels, open_dataset, read_all, to_array
from anomaly.inference import Detector
from anomaly.inference.graph import EvidenceGraph
from anomaly.inference.images import read_images
from anomaly.inference.latents import search_images
from anomaly.inference.search import Objective, search_latents
from anomaly.inference.torch_engine import TorchEngine
from anomaly.networks import Networks, build, fold_batch_norm
from anomaly.pipeline.score import score_paths
from anomaly.recipes import read_recipe, to_recipe
from anomaly.runtime import place, to_float
from anomaly.scoring import combine
from anomaly.scoring.terms import anomaly_score, feature_matching, residual
from benchmarks.stored import stored_networks

ROUNDS = 8
BATCH_SIZES = (16, 32, 64, 128, 256)
SEARCH_STEPS = 30
CPU = torch.device("cpu")


def main() -> None:
    """Run all four and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder with MNIST's IDX files")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--images", type=int, default=10_000)
    args = parser.parse_args()
    samples = open_dataset(args.data, normal=["0"]).test()[: args.images]
    images = np.stack([to_array(sample.open()) for sample in samples])
    detector = anomaly.load_detector(args.models / "mnist", device="cpu")
    compare_with_bare_networks(detector, images)
    compare_files(args.models / "mnist", detector, images)
    compare_search(anomaly.load_detector(args.models / "mnist-anogan", device="cpu"))
    compare_precisions(detector, images)


def compare_with_bare_networks(detector: Detector, images: Pixels) -> None:
    """1. The whole of `score`, preprocessing included, against E, G and D twice on ready tensors."""
    batch = torch.from_numpy(images[:, None])
    ready = to_float(torch.from_numpy(_preprocessed(detector, images)))
    networks = stored_networks(detector.bundle)
    fold_batch_norm(networks)
    place(networks, CPU)

    def bare(size: int) -> None:
        with torch.inference_mode():
            for x in torch.split(ready, size):
                z = networks.encode(x)
                x_hat = networks.G(z)
                networks.judge(x, z)
                networks.judge(x_hat, z)

    sizes = {size: (lambda size=size: bare(size)) for size in BATCH_SIZES}
    times = _best({"score": lambda: detector.score(batch), **{str(size): run for size, run in sizes.items()}})
    best = min(BATCH_SIZES, key=lambda size: times[str(size)])
    rate, bare_rate = len(images) / times["score"], len(images) / times[str(best)]
    print(
        f"Detector.score: {rate:,.0f} images/s; bare networks at their best batch size ({best}): {bare_rate:,.0f}; "
        f"ratio {rate / bare_rate:.2f}",
        flush=True,
    )


def _preprocessed(detector: Detector, images: Pixels) -> Pixels:
    """(n, h, w) as the bundle's networks take them, (n, c, size, size)."""
    chunks = read_images(torch.from_numpy(images[:, None]), detector.preprocess)
    return np.concatenate([chunk.pixels for chunk in chunks])


def compare_files(model: Path, detector: Detector, images: Pixels) -> None:
    """2. Files through the command's use case against decoding and scoring, each on its own."""
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(images):
            PIL.Image.fromarray(image).save(Path(folder) / f"{number:06d}.png")
        paths = sorted(str(path) for path in Path(folder).iterdir())

        def decode() -> list[Picture]:
            named = ((path, Path(path)) for path in paths)
            return [picture for picture in read_all(named, detector.preprocess) if isinstance(picture, Picture)]

        pixels = np.stack([picture.pixels for picture in decode()])
        out = Path(folder) / "results.csv"

        def evidence() -> None:
            for start in range(0, len(pixels), 256):
                detector.evidence(pixels[start : start + 256])

        times = _best(
            {
                "command": lambda: score_paths(model, paths, out, device="cpu"),
                "start-up": lambda: score_paths(model, paths[:1], out, device="cpu"),
                "decode": decode,
                "score": evidence,
            }
        )
    n = len(images)
    rate = n / (times["command"] - times["start-up"])
    bound = n / (times["decode"] + times["score"])
    print(
        f"anomaly score: {rate:,.0f} images/s; decode {n / times['decode']:,.0f}, score {n / times['score']:,.0f}, "
        f"1/(1/decode + 1/score) = {bound:,.0f}; ratio {rate / bound:.2f}",
        flush=True,
    )


def compare_search(detector: Detector) -> None:
    """3. The same number of steps for every image: in a batch of 256, and one at a time without padding."""
    size = detector.preprocess.size
    pixels = np.random.default_rng(0).integers(0, 256, (256, 1, size, size), dtype=np.uint8)
    networks, recipe = stored_networks(detector.bundle), detector.bundle.manifest.recipe
    fold_batch_norm(networks)
    place(networks, CPU)
    graph = EvidenceGraph(networks, recipe).eval()
    config = SearchConfig(steps=SEARCH_STEPS, restarts=1, patience=SEARCH_STEPS + 1)
    num_alone = 8

    times = _best(
        {
            "alone": lambda: [_search_alone(networks, recipe, pixels[i : i + 1], config) for i in range(num_alone)],
            "batch": lambda: search_images(graph, pixels, config, recipe.score.feature_weight, _to_x),
        }
    )
    alone, batch = times["alone"] / num_alone, times["batch"] / 256
    print(
        f"AnoGAN search, ms for each step and image: alone {1e3 * alone / SEARCH_STEPS:.2f}, "
        f"in a batch of 256 {1e3 * batch / SEARCH_STEPS:.3f}; ratio 1/{alone / batch:.1f}"
    )


def _to_x(pixels: Pixels) -> torch.Tensor:
    return to_float(torch.from_numpy(pixels))


def _search_alone(networks: Networks, recipe: Recipe, pixels: Pixels, config: SearchConfig) -> torch.Tensor:
    """One image in one slot, from a draw of the prior."""
    starts = torch.randn(len(pixels), config.restarts, networks.plan.latent_dim)
    return search_latents(_objective(networks, recipe, _to_x(pixels)), starts, config, num_slots=1)[0]


def _objective(networks: Networks, recipe: Recipe, x: torch.Tensor) -> Objective:
    """(1 − λ)·R(x) + λ·F(x), F in the recipe's layer."""
    layer, weight = recipe.score.feature_layer or "", recipe.score.feature_weight
    features = networks.judge(x).features[layer]

    def loss(images: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        x_hat = networks.G(z)
        discrimination = feature_matching(features[images], networks.judge(x_hat).features[layer])
        return anomaly_score(residual(x[images], x_hat), discrimination, weight)

    return loss


def compare_precisions(detector: Detector, images: Pixels) -> None:
    """4. What else an image costs (reading it, its score's arithmetic) is left out on both sides."""
    contents, pixels = detector.bundle.contents, _preprocessed(detector, images)
    own, surfaces = contents.manifest.recipe, to_recipe(read_recipe("surfaces").sections)
    side = surfaces.preprocess.size
    noise = np.random.default_rng(0).integers(0, 256, (64, 1, side, side), dtype=np.uint8)
    observers = _observers(stored_networks(detector.bundle), own)
    untrained = _observers(build(surfaces.plan), surfaces)
    for name, each, seen in (("the bundle", observers, pixels), (f"{side} × {side}", untrained, noise)):
        times = _best({str(precision): partial(observer.observe, seen) for precision, observer in each.items()})
        fp32, bf16 = (len(seen) / times[precision] for precision in Precision)
        print(f"evidence of {name}: fp32 {fp32:,.0f} images/s, bf16 {bf16:,.0f}; ratio {bf16 / fp32:.2f}", flush=True)
    scores = [combine(observers[p].observe(pixels)[0], contents.statistics, own) for p in Precision]
    differences = np.abs(scores[1] - scores[0]) / scores[0]
    print(f"scores in bf16 differ by {np.median(differences):.2%} at the median, {differences.max():.2%} at most")


def _observers(networks: Networks, recipe: Recipe) -> dict[Precision, TorchEngine]:
    """One engine for each precision."""
    scores = {precision: recipe.score.model_copy(update={"precision": precision}) for precision in Precision}
    return {
        precision: TorchEngine(networks, recipe.model_copy(update={"score": score}), CPU)
        for precision, score in scores.items()
    }


def _best(programs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Each program's shortest time in seconds over rounds that run all of them in turn; the first is a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS + 1):
        for name, program in programs.items():
            started = time.perf_counter()
            program()
            times[name].append(time.perf_counter() - started)
    return {name: min(seconds[1:]) for name, seconds in times.items()}


if __name__ == "__main__":
    main()
