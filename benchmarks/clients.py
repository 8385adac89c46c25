"""Many clients at once, each image tagged: does each get its own score, and how many a second?

    python -m benchmarks.clients --models models/ --images 10000 --clients 16

Starts the real server as a program of its own on a free port of 127.0.0.1, posts images drawn one by one (no two alike)
from concurrent clients, and compares every answer with the score that the image gets alone, in this process. Prints one
line, and exits with 1 if any answer differs by more than 1e-5. Stops by itself, and stops the server.
"""

import argparse
import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image, ImageDraw

from anomaly.bundle import list_bundles
from anomaly.data import Limits, decode, preprocess
from anomaly.inference import Detector, load_detector

TOLERANCE = 1e-5
TIMEOUT_S = 60


def main() -> int:
    """Run the comparison and print its line."""
    options = _options()
    name = options.model or list_bundles(options.models)[0].name
    detector = load_detector(options.models / name)
    images = [draw(tag) for tag in range(options.images)]
    with serving(options.models) as port:
        start = perf_counter()
        with ThreadPoolExecutor(options.clients) as clients:
            shares = [range(client, len(images), options.clients) for client in range(options.clients)]
            answers = dict(
                pair for pairs in clients.map(lambda s: run_client(port, name, images, s), shares) for pair in pairs
            )
        seconds = perf_counter() - start
    expected = [score_alone(detector, data) for data in images]
    wrong = [
        tag for tag in range(len(images)) if not np.isclose(answers[tag], expected[tag], rtol=TOLERANCE, atol=TOLERANCE)
    ]
    distinct = len({round(score / TOLERANCE) for score in expected})
    print(
        f"{name}: {len(answers)} images from {options.clients} clients, {distinct} distinct scores, "
        f"{len(wrong)} mismatches, {len(images) / seconds:.0f} images/s"
    )
    return 1 if wrong else 0


def draw(tag: int) -> bytes:
    """A PNG of a few strokes of the tag's own, in one of several sizes."""
    rng = np.random.default_rng(tag)
    size = int(rng.choice([28, 32, 40]))
    image = Image.fromarray(rng.integers(0, 40, (size, size), dtype=np.uint8))
    points = [(int(x), int(y)) for x, y in rng.integers(4, size - 4, (5, 2))]
    ImageDraw.Draw(image).line(points, fill=int(rng.integers(120, 256)), width=int(rng.integers(1, 5)))
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def score_alone(detector: Detector, data: bytes) -> float:
    """The score in this process, of this image and no other."""
    pixels = preprocess(decode(data, name="a drawing", limits=Limits()), detector.preprocess)
    return float(detector.evidence(pixels[None]).score[0])


def run_client(port: int, model: str, images: list[bytes], tags: range) -> list[tuple[int, float]]:
    """Post these images one after the other over one connection: pairs of tag and score."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    pairs = []
    for tag in tags:
        connection.request("POST", f"/score?model={model}", images[tag], {"Content-Type": "image/png"})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != 200:
            raise SystemExit(f"image {tag} was answered with {answer.status}: {body['error']['message']}")
        pairs.append((tag, body["score"]))
    connection.close()
    return pairs


@contextmanager
def serving(models: Path) -> Iterator[int]:
    """The real server on a free port; its port, once it can score."""
    program = Path(sys.executable).with_name("anomaly")
    command = [str(program), "serve", "--models", str(models), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            for line in server.stdout:
                if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                    yield int(found[1])
                    break
            else:
                raise SystemExit("the server did not start; what it said is above")
        finally:
            server.terminate()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"), help="the folder that holds the bundles")
    parser.add_argument("--model", help="the bundle's name; the first if left out")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=16)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
