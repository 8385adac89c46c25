"""Every system of the lectures on MNIST, one digit normal, in one table.

    python -m benchmarks.lectures --data MNIST_FOLDER          # train and measure what results/lectures.jsonl lacks
    python -m benchmarks.lectures --table                      # the rows as Markdown
    python -m benchmarks.lectures --data MNIST_FOLDER --pictures docs/images/systems.png

Each system is one `anomaly train` of the same length and width, by the recipe of its name; its bundle stays in the
folder of `--models`. The test images are a fixed draw of 2,000. "paper" is the AUROC of the score of the system's own
paper, "all terms" that of the default score. Times are of the processor, all cores added up: what else the machine does
counts for little. Killed, it goes on where it was: a row is written when its system is done.
"""

import argparse
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.config import PreprocessConfig
from anomaly.data import open_dataset, preprocess, to_pixels
from anomaly.evaluation import knn_scores, pca_scores
from anomaly.evaluation.metrics import image_metrics
from anomaly.inference import Detector, load_detector
from anomaly.inference.torch_engine import TorchEngine
from anomaly.report.inspection import sample_latents
from anomaly.report.sheets import Sheet, Text, to_tiles
from anomaly.scoring import combine
from benchmarks.rows import FOLDER, Row, append_row, read_rows

RESULTS = FOLDER / "lectures.jsonl"
NORMAL = "8"
NUM_TEST = 2000
NUM_SHOWN = 4  # normal test images on the pictures, and as many others
COMMON = ("--normal", NORMAL, "--steps", "2000")
WIDTH = ("--set", "network.width=16")
SYSTEMS: dict[str, tuple[str, ...]] = {
    "MLP GAN": ("--recipe", "mlp-gan", "--size", "28"),  # whose layers have no width
    "DCGAN": ("--recipe", "dcgan"),
    "LeNet-5 discriminator": ("--recipe", "lenet"),
    "autoencoder": ("--recipe", "autoencoder"),
    "uniform prior": ("--recipe", "uniform-prior"),
    "minimax loss": ("--recipe", "minimax"),
    "Wasserstein loss, clipped weights": ("--recipe", "wasserstein-clipped"),
    "Wasserstein loss, gradient penalty": ("--recipe", "wasserstein-penalty"),
    "hinge loss": ("--recipe", "hinge"),
    "Algorithm 1, k = 2, SGD": ("--recipe", "algorithm-1"),
    "Algorithm 1, two moves of G, Adam": ("--recipe", "two-g-steps"),
    "AnoGAN, first form, −log D(G(z))": ("--recipe", "anogan-cross-entropy"),
    "AnoGAN, first form, log(1 − D(G(z)))": ("--recipe", "anogan-saturating"),
    "AnoGAN, second form; non-saturating loss": ("--recipe", "anogan-2017"),
    "BiGAN": ("--recipe", "digits"),
    "BiGAN, G begun as the autoencoder's decoder": ("--recipe", "digits", "--init-decoder", "{models}/autoencoder"),
    "f-AnoGAN": ("--recipe", "f-anogan"),
    "ALAD": ("--recipe", "alad"),
}


def main() -> None:
    """Train and measure what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="the folder with MNIST's IDX files")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--models", type=Path, default=Path("out/lectures"), help="where the bundles go")
    parser.add_argument("--table", action="store_true", help="print the rows there are")
    parser.add_argument("--pictures", type=Path, help="draw what the bundles have learnt into this PNG")
    args = parser.parse_args()
    if args.table or args.data is None:
        print(to_markdown(read_rows(args.results)))
        return
    if args.pictures:
        args.pictures.write_bytes(systems_sheet(args.data, args.models).png())
        return
    done = {row["system"] for row in read_rows(args.results)}
    for system, options in SYSTEMS.items():
        if system in done:
            continue
        row = measure(system, options, args.data, args.models)
        append_row(args.results, row)
        print(to_markdown([row]).splitlines()[-1], flush=True)


def all_options(own: tuple[str, ...]) -> tuple[str, ...]:
    """A system's options with those that all have; a width only where there are convolutions."""
    return (*COMMON, *(() if "mlp-gan" in own else WIDTH), *own)


def measure(system: str, options: tuple[str, ...], data: str, models: Path) -> Row:
    """Train, score the fixed test images, compare with PCA and nearest neighbours on the model's own pixels."""
    out = models / folder_name(system)
    shutil.rmtree(out, ignore_errors=True)  # what a killed run left
    arguments = [option.format(models=models) for option in all_options(options)]
    started, began = _children_s(), time.monotonic()
    program = Path(sys.executable).with_name("anomaly")
    subprocess.run([program, "train", data, *arguments, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
    train_core_s, train_s = _children_s() - started, time.monotonic() - began
    detector = load_detector(out, device="cpu")
    pixels, labels = _test_images(detector, data)
    started = time.process_time()
    evidence = detector.evidence(pixels)
    score_ms = 1e3 * (time.process_time() - started) / len(pixels)
    metrics = image_metrics(_paper_score(detector, evidence.terms), labels)
    train = np.stack([preprocess(s.open(), detector.preprocess) for s in _dataset(data).train_normals()])
    return {
        "system": system,
        "command": shlex.join(["anomaly", "train", "mnist", *arguments]),
        "auroc": metrics.auroc,
        "auroc_ci95": metrics.auroc_ci95,
        "auroc_all_terms": image_metrics(evidence.score, labels).auroc,
        "pca": image_metrics(pca_scores(train, pixels), labels).auroc,
        "knn": image_metrics(knn_scores(train, pixels), labels).auroc,
        "train_core_s": train_core_s,
        "train_s": train_s,
        "score_core_ms": score_ms,
        "warnings": detector.bundle.manifest.warnings,
    }


def systems_sheet(data: str, models: Path) -> Sheet:
    """One row for each system: samples G(z), then what it makes of the first normal and the first other test images."""
    samples = _dataset(data).test()
    shown = [
        sample
        for label in ("normal", "anomalous")
        for sample in [sample for sample in samples if sample.label == label][:NUM_SHOWN]
    ]
    rows, words = [], []
    for system in SYSTEMS:
        detector = load_detector(models / folder_name(system), device="cpu", engine="torch")
        assert isinstance(detector.engine, TorchEngine)
        pixels = np.stack([preprocess(sample.open(), detector.preprocess) for sample in shown])
        x_hat = detector.examine(pixels)[1].x_hat
        sampled = detector.engine.generate(sample_latents(detector).numpy()[: 2 * NUM_SHOWN])
        tiles = to_tiles(to_pixels(np.concatenate([sampled, x_hat])))
        rows.append(_framed(tiles))
        words.append(Text(system))
    images = np.stack([preprocess(sample.open(), PreprocessConfig()) for sample in shown])
    rows.insert(0, to_tiles(np.concatenate([np.full_like(images, 255), images])))
    return Sheet(
        f"MNIST, {NORMAL} is normal: samples G(z), and G(z_hat) of test images",
        np.stack(rows),
        left=[Text("x"), *words],
        breaks=(2 * NUM_SHOWN, 3 * NUM_SHOWN),
    )


def _framed(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, size, size, 3) in the middle of white tiles of the other systems' size."""
    edge = (PreprocessConfig().size - tiles.shape[1]) // 2
    return np.pad(tiles, ((0, 0), (edge, edge), (edge, edge), (0, 0)), constant_values=255)


def folder_name(system: str) -> str:
    """The system's name in small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", system.lower()).strip("-")


def _children_s() -> float:
    """Processor seconds of the programs that have been run so far, all cores added up."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def to_markdown(rows: list[Row]) -> str:
    """In the order of the systems; AUROC in %, the baselines of the same run beside it."""
    order = list(SYSTEMS)
    lines = [
        "| system | AUROC, paper | 95 % | AUROC, all terms | PCA | 3-NN | training | scoring one image |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: order.index(row["system"])):
        low, high = row["auroc_ci95"]
        lines.append(
            f"| {row['system']} | {100 * row['auroc']:.1f} | {100 * low:.1f}–{100 * high:.1f} "
            f"| {100 * row['auroc_all_terms']:.1f} | {100 * row['pca']:.1f} | {100 * row['knn']:.1f} "
            f"| {row['train_core_s']:.0f} s | {row['score_core_ms']:.2g} ms |"
        )
    return "\n".join(lines)


def _dataset(data: str) -> Any:
    return open_dataset(data, normal=[NORMAL])


def _test_images(detector: Detector, data: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The fixed draw, (n, c, size, size), and which of them are anomalous."""
    samples = _dataset(data).test()
    chosen = np.sort(np.random.default_rng(0).choice(len(samples), min(NUM_TEST, len(samples)), replace=False))
    picked = [samples[i] for i in chosen]
    pixels = np.stack([preprocess(sample.open(), detector.preprocess) for sample in picked])
    return pixels, np.array([sample.label == "anomalous" for sample in picked], dtype=bool)


def _paper_score(detector: Detector, terms: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    recipe = detector.bundle.manifest.recipe
    score = recipe.score.model_copy(update={"combine": "paper"})
    return combine(terms, detector.bundle.contents.statistics, recipe.model_copy(update={"score": score}))


if __name__ == "__main__":
    main()
