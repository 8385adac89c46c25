"""What the engines do on this machine, and a checkout of before: ratios within one run, each the median of its pairs.

    git worktree add ../before 92e1a69
    python -m benchmarks.engines --before ../before --data MNIST_FOLDER [--rounds 5] [--only score,surfaces,…]

score      `Detector.score` of 4,000 test images in memory: this checkout to the other, and to bare passes of ONNX
           Runtime at their best batch size, by as many threads
surfaces   the same for a bundle of the recipe `surfaces` at 256 × 256 pixels, trained for a few steps
cold       `anomaly score` of one image, the whole command: its time to the other's
files      `anomaly score` of 10,000 PNGs of 28 × 28 pixels, the whole command: images a second
memory     resident memory of `anomaly serve` with `models/mnist` alone, after three seconds of load
threads    the graph alone by one thread, by as many of ONNX Runtime's own, and by as many with a batch each

In each pair the two checkouts run in turn, each with its own code and its own bundles, upgraded where it needs them.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.bundle import load
from anomaly.bundle.layout import EVIDENCE
from anomaly.data import Pixels, open_dataset, preprocess_batch, to_array
from anomaly.inference.onnx_sessions import onnxruntime, session_of
from anomaly.processors import num_threads
from benchmarks.checkouts import CLI, ROOT, environment, start_server, upgraded
from benchmarks.drawings import draw_line, draw_texture, write_files
from benchmarks.load import send

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
NUM_DIGITS, NUM_TEXTURES, NUM_FILES = 4000, 48, 10_000
_SCORE = """
import sys, time
import numpy as np
import torch  # of the batch, which the other checkout knows as a tensor only
import anomaly
batch = torch.from_numpy(np.load(sys.argv[2]))
detector = anomaly.load_detector(sys.argv[1], device="cpu")
detector.score(batch[:64])
print("ready", flush=True)
for line in sys.stdin:
    started = time.perf_counter()
    detector.score(batch)
    print(time.perf_counter() - started, flush=True)
"""


def main() -> None:
    """Print each figure with its pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the project as it was")
    parser.add_argument("--data", required=True, help="the folder with MNIST's IDX files")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of each figure")
    parser.add_argument("--only", default="score,surfaces,cold,files,memory,threads", help="some of the figures")
    options = parser.parse_args()
    before, rounds = options.before.resolve(), options.rounds
    mnist = before / "models" / "mnist"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        figures: dict[str, Callable[[], None]] = {
            "score": lambda: compare_scores(before, mnist, _digits(options.data), folder / "digits", rounds),
            "surfaces": lambda: compare_scores(
                before, _surfaces(before, folder), _textures(), folder / "textures", rounds
            ),
            "cold": lambda: compare_cold(before, folder, rounds),
            "files": lambda: compare_files(before, folder, rounds),
            "memory": lambda: compare_memory(before, folder),
            "threads": lambda: compare_threads(upgraded(mnist, folder / "threads"), _digits(options.data), rounds),
        }
        for name in options.only.split(","):
            print(f"{name}: ", end="", flush=True)
            figures[name]()


def compare_scores(before: Path, bundle: Path, images: Pixels, folder: Path, rounds: int) -> None:
    """`Detector.score` of this checkout, of the other, and bare passes, in turn."""
    ours, arrays = upgraded(bundle, folder), folder / "images.npy"
    np.save(arrays, images)
    workers = [_worker(checkout, path, arrays) for checkout, path in ((ROOT, ours), (before, bundle))]
    bare = _bare_passes(ours, images)
    size = min(BATCH_SIZES, key=bare)
    times = [(_run(workers[0]), _run(workers[1]), bare(size)) for _ in range(rounds)]
    for worker in workers:
        worker.kill()
        worker.wait()
    here, there, passes = (len(images) / median(column) for column in zip(*times, strict=True))
    print(f"images a second {here:.0f} here, {there:.0f} before, {passes:.0f} bare in batches of {size}")
    print(f"    here / before {_ratio([(b, a) for a, b, _ in times])}")
    print(f"    here / bare {_ratio([(c, a) for a, _, c in times])}")


def compare_cold(before: Path, folder: Path, rounds: int) -> None:
    """Whole commands of one image: seconds here to seconds before."""
    image = ROOT / "docs" / "examples" / "zero.png"
    pairs = [(_score(ROOT, folder, image), _score(before, folder, image)) for _ in range(rounds)]
    here, there = (median(column) for column in zip(*pairs, strict=True))
    print(f"{here:.2f} s here, {there:.2f} s before: {_ratio(pairs)}")


def compare_files(before: Path, folder: Path, rounds: int) -> None:
    """Whole commands of a folder of PNGs: images a second here to those before."""
    images = folder / "pngs"
    write_files(images, NUM_FILES, draw_line, 28)
    pairs = [(_score(before, folder, images), _score(ROOT, folder, images)) for _ in range(rounds)]
    there, here = (NUM_FILES / median(column) for column in zip(*pairs, strict=True))
    print(f"images a second {here:.0f} here, {there:.0f} before: {_ratio(pairs)}")


def compare_memory(before: Path, folder: Path) -> None:
    """Resident memory of servers with one model, one after the other."""
    images = folder / "few"
    write_files(images, 200, draw_line, 28)
    bundle = before / "models" / "mnist"
    models = {
        ROOT: upgraded(bundle, folder / "here").parent,
        before: shutil.copytree(bundle, folder / "there" / "mnist").parent,
    }
    sizes = []
    for checkout, served in models.items():
        server = start_server(checkout, served, "mnist")
        try:
            send(server.port, images, "--seconds", 3)
            sizes.append(server.memory_mib())
        finally:
            server.process.kill()
            server.process.wait()
    print(f"{sizes[0]:.0f} MiB here, {sizes[1]:.0f} MiB before: {sizes[0] / sizes[1]:.2f}")


def compare_threads(bundle: Path, images: Pixels, rounds: int) -> None:
    """The graph alone, in batches of 32 images; seconds of one thread to those of the other ways."""
    loaded = load(bundle)
    assert loaded.contents.graph is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads()
    own = onnxruntime.InferenceSession(str(loaded.ref.path / EVIDENCE), options, ["CPUExecutionProvider"])
    one = session_of(loaded.contents.graph)
    batches = np.split(_ready(bundle, images), range(32, len(images), 32))

    def by(session: Any, threads: int) -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda batch: session.run(["terms", "z_hat"], {"x": batch}), batches))
        return time.perf_counter() - started

    times = [(by(one, 1), by(own, 1), by(one, num_threads())) for _ in range(rounds)]
    print(f"{num_threads()} threads")
    print(f"    of ONNX Runtime's own / one thread {_ratio([(a, b) for a, b, _ in times])}")
    print(f"    a batch each / one thread {_ratio([(a, c) for a, _, c in times])}")


def _worker(checkout: Path, bundle: Path, images: Path) -> "subprocess.Popen[str]":
    """A process that scores the images each time it is told to, and says how long it took."""
    command = [sys.executable, "-c", _SCORE, str(bundle), str(images)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    worker = subprocess.Popen(command, cwd=checkout, env=environment(checkout), text=True, **pipes)  # type: ignore[call-overload]
    assert worker.stdout.readline() == "ready\n"
    return worker  # type: ignore[no-any-return]


def _run(worker: "subprocess.Popen[str]") -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("\n")
    worker.stdin.flush()
    return float(worker.stdout.readline())


def _bare_passes(bundle: Path, images: Pixels) -> Callable[[int], float]:
    """Seconds that the bundle's graph alone takes for all images, ready as floats, in batches of a size."""
    graph = load(bundle).contents.graph
    assert graph is not None
    session, x = session_of(graph), _ready(bundle, images)

    def bare(size: int) -> float:
        batches = [x[start : start + size] for start in range(0, len(x), size)]
        started = time.perf_counter()
        with ThreadPoolExecutor(num_threads()) as pool:
            list(pool.map(lambda batch: session.run(["terms", "z_hat"], {"x": batch}), batches))
        return time.perf_counter() - started

    return bare


def _ready(bundle: Path, images: Pixels) -> NDArray[np.float32]:
    """As the graph takes them."""
    pixels = preprocess_batch(images[:, 0], load(bundle).manifest.recipe.preprocess)
    return pixels.astype(np.float32) / 127.5 - 1


def _score(checkout: Path, folder: Path, images: Path) -> float:
    """Seconds of `anomaly score`, with the checkout's own shipped bundle."""
    command = [*CLI, "score", str(checkout / "models" / "mnist"), str(images), "--out", str(folder / "results.csv")]
    started = time.perf_counter()
    subprocess.run(command, cwd=checkout, env=environment(checkout), check=True, capture_output=True)
    return time.perf_counter() - started


def _ratio(pairs: list[tuple[float, float]]) -> str:
    ratios = [a / b for a, b in pairs]
    return f"{median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"


def _digits(data: str) -> Pixels:
    samples = open_dataset(data, normal=["0"]).test()[:NUM_DIGITS]
    return np.stack([to_array(sample.open()) for sample in samples])[:, None]


def _textures() -> Pixels:
    drawn = [np.asarray(Image.open(BytesIO(draw_texture(number, 256)))) for number in range(NUM_TEXTURES)]
    return np.stack(drawn)[:, None]


def _surfaces(before: Path, folder: Path) -> Path:
    """A bundle of the recipe `surfaces`, trained for two steps by the other checkout: it judges badly, but computes."""
    normals, bundle = folder / "normals", folder / "before" / "surfaces"
    write_files(normals, 60, draw_texture, 256)
    command = [
        *CLI,
        "train",
        str(normals),
        "--out",
        str(bundle),
        "--recipe",
        "surfaces",
        "--steps",
        "2",
        "--size",
        "256",
    ]
    subprocess.run(command, cwd=before, env=environment(before), check=True, capture_output=True)
    return bundle


if __name__ == "__main__":
    main()
