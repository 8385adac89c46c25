"""Law 2 on real bundles: an image's score is the same whatever way it comes and whoever comes with it.

    python -m benchmarks.same_score --data MNIST_FOLDER [--models models] [--images 256]

The reference is `Detector.score` of all images at once. Prints, for each bundle and each way, the largest difference,
relative to the score; exits with 1 if one is larger than 1e-5 (an encoder) or 1e-3 (a latent search).
"""

import argparse
import csv
import http.client
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray

from anomaly.bundle import save
from anomaly.data import open_dataset, to_array
from anomaly.inference import Detector, load_detector
from benchmarks.serving import serving

NUM_ALONE = 16
TIMEOUT_S = 300
Scores = NDArray[np.float64]
Images = list[NDArray[np.uint8]]


def main() -> int:
    """Compare all ways for all bundles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder with MNIST's IDX files")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--names", nargs="+", default=["mnist", "mnist-anogan"], help="the bundles")
    parser.add_argument("--images", type=int, default=256)
    args = parser.parse_args()
    images = [to_array(sample.open()) for sample in open_dataset(args.data, normal=["0"]).test()[: args.images]]
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder, serving(args.models) as server:
        files = {suffix: _write(images, Path(folder), suffix) for suffix in ("png", "bmp")}
        for name in args.names:
            model = args.models / name
            detector = load_detector(model, device="cpu")
            expected = detector.score(images).score
            tolerance = detector.bundle.manifest.tolerance
            print(f"{name}: {len(images)} images, tolerance {tolerance:g}")
            for way, score in _ways(detector, model, images, files, server.port, Path(folder)).items():
                found = score()
                difference = float(np.max(np.abs(found - expected[: len(found)]) / np.abs(expected[: len(found)])))
                worst = max(worst, difference / tolerance)
                print(f"  {way:<44} {len(found):>4} images  {difference:.1e}", flush=True)
    return 1 if worst > 1.0 else 0


def _ways(
    detector: Detector, model: Path, images: Images, files: dict[str, list[Path]], port: int, folder: Path
) -> dict[str, Callable[[], Scores]]:
    few = images[:NUM_ALONE]
    order = np.random.default_rng(0).permutation(len(images))
    copy = folder / f"copy-of-{model.name}"
    return {
        "alone": lambda: np.concatenate([detector.score(image).score for image in few]),
        "in batches of 7": lambda: np.concatenate([detector.score(images[i : i + 7]).score for i in (0, 7, 14, 21)]),
        "reordered": lambda: detector.score([images[i] for i in order]).score[np.argsort(order)],
        "with one thread": lambda: _with_threads(1, lambda: detector.score(images).score),
        "with two threads": lambda: _with_threads(2, lambda: detector.score(images).score),
        "Python, PNG files": lambda: detector.score(files["png"]).score,
        "Python, BMP files": lambda: detector.score(files["bmp"]).score,
        "after saving and loading": lambda: _reloaded(detector, copy).score(images).score,
        "anomaly score, PNG files": lambda: _by_command(model, files["png"], folder),
        "POST /score, PNG": lambda: np.array([_post(port, model.name, path) for path in files["png"][:NUM_ALONE]]),
        "POST /score, BMP": lambda: np.array([_post(port, model.name, path) for path in files["bmp"][:NUM_ALONE]]),
        "POST /score/batch, PNG": lambda: _post_batch(port, model.name, files["png"]),
    }


def _write(images: Images, folder: Path, suffix: str) -> list[Path]:
    paths = [folder / f"{number:04d}.{suffix}" for number in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        PIL.Image.fromarray(image).save(path)
    return paths


def _with_threads(num: int, score: Callable[[], Scores]) -> Scores:
    before = torch.get_num_threads()
    torch.set_num_threads(num)
    try:
        return score()
    finally:
        torch.set_num_threads(before)


def _reloaded(detector: Detector, name_directory: Path) -> Detector:
    return load_detector(save(detector.bundle.contents, name_directory).ref.path, device="cpu")


def _by_command(model: Path, paths: Sequence[Path], folder: Path) -> Scores:
    out = folder / "results.csv"
    program = Path(sys.executable).with_name("anomaly")
    subprocess.run([program, "score", model, *paths, "--out", out], check=True, capture_output=True)
    with out.open(newline="") as file:
        return np.array([float(row["score"]) for row in csv.DictReader(file)])


def _post(port: int, model: str, path: Path) -> float:
    content_type = {".png": "image/png", ".bmp": "image/bmp"}[path.suffix]
    return float(_request(port, f"/score?model={model}", path.read_bytes(), content_type)["score"])


def _post_batch(port: int, model: str, paths: Sequence[Path]) -> Scores:
    boundary = uuid.uuid4().hex
    head = '--{}\r\nContent-Disposition: form-data; name="files"; filename="{}"\r\n\r\n'
    parts = [head.format(boundary, path.name).encode() + path.read_bytes() + b"\r\n" for path in paths]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    answer = _request(port, f"/score/batch?model={model}", body, f"multipart/form-data; boundary={boundary}")
    return np.array([result["score"] for result in answer["results"]])


def _request(port: int, path: str, body: bytes, content_type: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request("POST", path, body, {"Content-Type": content_type})
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != 200:
        raise SystemExit(f"POST {path} was answered with {response.status}: {answer['error']['message']}")
    return dict(answer)


if __name__ == "__main__":
    sys.exit(main())
