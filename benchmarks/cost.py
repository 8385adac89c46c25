"""What scoring costs, as ratios within one run: machines differ, ratios less so.

    python -m benchmarks.cost --data MNIST_FOLDER [--models models]

1. `Detector.score` on images in memory against the bare network passes it needs (E, G, D twice) at the best batch size,
   channels-last, in the same precision.
2. `anomaly score` on PNG files, start-up apart, against 1 / (1/decode + 1/score).
3. AnoGAN's search an image in a batch of 256 against an unpadded search, one image at a time.
4. The networks' passes in bf16 against the same in fp32, and how far scores then differ; at 256 × 256 pixels, with a
   patch discriminator, of networks that have learnt nothing.

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
from numpy.typing import NDArray

import anomaly
from anomaly.config import Loss, Method, NetworkConfig, Precision, ScoreConfig, SearchConfig
from anomaly.data import Picture, open_dataset, read_all, to_array
from anomaly.inference import Detector
from anomaly.inference.passes import NUM_SLOTS, Passes
from anomaly.inference.search import search_latents
from anomaly.networks import build
from anomaly.pipeline import score_paths
from anomaly.runtime import to_float

ROUNDS = 8
BATCH_SIZES = (16, 32, 64, 128, 256)
SEARCH_STEPS = 30


def main() -> None:
    """Run all three and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder with MNIST's IDX files")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--images", type=int, default=10_000)
    args = parser.parse_args()
    samples = open_dataset(args.data, normal=["0"]).test()[: args.images]
    images = np.stack([to_array(sample.open()) for sample in samples])
    detector = anomaly.load_detector(args.models / "mnist", device="cpu")
    compare_with_bare_passes(detector, images)
    compare_files(args.models / "mnist", detector, images)
    compare_search(anomaly.load_detector(args.models / "mnist-anogan", device="cpu"))
    compare_precisions(detector, images)


def compare_with_bare_passes(detector: Detector, images: NDArray[np.uint8]) -> None:
    """1. The whole of `score`, preprocessing included, against E, G and D twice on ready tensors."""
    batch = torch.from_numpy(images[:, None])
    pixels = detector.score(batch[:1])._pixels
    ready = to_float(torch.from_numpy(np.repeat(pixels, len(images), axis=0)))
    networks = detector._passes.networks

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
        f"Detector.score: {rate:,.0f} images/s; bare passes at their best batch size ({best}): {bare_rate:,.0f}; "
        f"ratio {rate / bare_rate:.2f}",
        flush=True,
    )


def compare_files(model: Path, detector: Detector, images: NDArray[np.uint8]) -> None:
    """2. Files through the command's use case against decoding and scoring, each on its own."""
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(images):
            PIL.Image.fromarray(image).save(Path(folder) / f"{number:06d}.png")
        paths = sorted(str(path) for path in Path(folder).iterdir())
        sources = [(path, Path(path)) for path in paths]
        pixels = np.stack([p.pixels for p in read_all(sources, detector.preprocess) if isinstance(p, Picture)])
        out = Path(folder) / "results.csv"

        def evidence() -> None:
            for start in range(0, len(pixels), 256):
                detector.evidence(pixels[start : start + 256])

        times = _best(
            {
                "command": lambda: score_paths(model, paths, out, device="cpu"),
                "start-up": lambda: score_paths(model, paths[:1], out, device="cpu"),
                "decode": lambda: list(read_all(sources, detector.preprocess)),
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
    passes = detector._passes
    config = SearchConfig(steps=SEARCH_STEPS, restarts=1, patience=SEARCH_STEPS + 1)
    num_alone = 8

    times = _best(
        {
            "alone": lambda: [_search(passes, pixels[i : i + 1], config, num_slots=1) for i in range(num_alone)],
            "batch": lambda: _search(passes, pixels, config, num_slots=NUM_SLOTS),
        }
    )
    alone, batch = times["alone"] / num_alone, times["batch"] / 256
    print(
        f"AnoGAN search, ms a step and image: alone {1e3 * alone / SEARCH_STEPS:.2f}, "
        f"in a batch of 256 {1e3 * batch / SEARCH_STEPS:.3f}; ratio 1/{alone / batch:.1f}"
    )


def _search(passes: Passes, pixels: NDArray[np.uint8], config: SearchConfig, *, num_slots: int) -> torch.Tensor:
    x = to_float(torch.from_numpy(pixels))
    starts = torch.randn(len(pixels), config.restarts, passes.networks.config.latent_dim)
    return search_latents(passes._loss(x, config), starts, config, num_slots=num_slots)[0]


def compare_precisions(detector: Detector, images: NDArray[np.uint8]) -> None:
    """4. What else an image costs (reading it, its score's arithmetic) is left out on both sides."""
    pixels = detector.score(torch.from_numpy(images[:, None]))._pixels
    side = 256
    surfaces = Passes(
        build(NetworkConfig(size=side, width=4, patch_discriminator=True)),
        method=Method.BIGAN,
        loss=Loss.NON_SATURATING,
        search=None,
        feature_layer="conv3",
        feature_weight=ScoreConfig().feature_weight,
        precision=Precision.FP32,
        device=torch.device("cpu"),
    )
    noise = np.random.default_rng(0).integers(0, 256, (64, 1, side, side), dtype=np.uint8)
    for name, passes, seen in (("the bundle", detector._passes, pixels), (f"{side} × {side}", surfaces, noise)):

        def reconstruct(precision: Precision, passes: Passes = passes, seen: NDArray[np.uint8] = seen) -> None:
            passes.precision = precision
            passes.reconstruct(seen)

        times = _best({str(precision): partial(reconstruct, precision) for precision in Precision})
        fp32, bf16 = (len(seen) / times[precision] for precision in Precision)
        print(f"passes of {name}: fp32 {fp32:,.0f} images/s, bf16 {bf16:,.0f}; ratio {bf16 / fp32:.2f}", flush=True)
    scores = []
    for precision in Precision:
        detector._passes.precision = precision
        scores.append(detector.evidence(pixels).score)
    differences = np.abs(scores[1] - scores[0]) / scores[0]
    print(f"scores in bf16 differ by {np.median(differences):.2%} at the median, {differences.max():.2%} at most")


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
