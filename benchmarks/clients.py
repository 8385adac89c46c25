"""Many clients at once, each image tagged, several models in turn: does each image get its own score?

    python -m benchmarks.clients --models models/ --images 10000 --clients 64

Starts the real server as a program of its own, posts images drawn one by one (no two alike) from concurrent clients,
and compares every answer with the score that the image gets alone, in this process. Every 200th image goes to the model
that searches, if there is one: it takes a thousand times as long. Prints one line for each model, and exits with 1 if
an answer differs by more than 1e-5, or 1e-3 of a search.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from anomaly.bundle import list_bundles
from anomaly.data import decode, preprocess
from anomaly.inference import Detector, load_detector
from benchmarks.drawings import draw_line, write_files
from benchmarks.load import Answer, send
from benchmarks.serving import serving

SIDE = 28
SEARCH_EVERY = 200


def main() -> int:
    """Run the comparison and print its lines."""
    options = _options()
    names = sorted({ref.name for ref in list_bundles(options.models)})
    detectors = {name: load_detector(options.models / name, device="cpu") for name in names}
    order = _order(detectors)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        write_files(folder, options.images, draw_line, SIDE)
        paths = [word for name in order for word in ("--path", f"/score?model={name}")]
        with serving(options.models, default_model=names[0], deadline_s=600) as server:
            load = send(
                server.port, folder, "--clients", options.clients, "--total", options.images, "--seconds", 3600, *paths
            )
    if load.statuses != {200: options.images}:
        raise SystemExit(f"some were not scored: {load.statuses}, {load.codes}")
    of_model: dict[str, list[Answer]] = {name: [] for name in names}
    for answer in load.answers:
        of_model[order[answer.number % len(order)]].append(answer)
    wrong = sum(_compare(name, detectors[name], answers) for name, answers in of_model.items())
    print(f"{options.images} images from {options.clients} clients in {load.seconds:.0f} s, {wrong} mismatches")
    return 1 if wrong else 0


def _order(detectors: dict[str, Detector]) -> list[str]:
    """The models' names in the order in which images go to them, over and over."""
    quick = [name for name, detector in detectors.items() if detector.bundle.manifest.recipe.search is None]
    slow = [name for name in detectors if name not in quick]
    return ((quick or slow) * SEARCH_EVERY)[: SEARCH_EVERY - len(slow)] + slow


def _compare(name: str, detector: Detector, answers: list[Answer]) -> int:
    """How many answers are not the score that the image gets alone."""
    tolerance = detector.bundle.manifest.tolerance
    expected = [_score_alone(detector, answer.number) for answer in answers]
    found = [float(answer.found or np.nan) for answer in answers]
    wrong = int((~np.isclose(found, expected, rtol=tolerance, atol=tolerance)).sum())
    distinct = len({round(score / tolerance) for score in expected})
    print(f"{name}: {len(answers)} images, {distinct} distinct scores, {wrong} mismatches")
    return wrong


def _score_alone(detector: Detector, number: int) -> float:
    pixels = preprocess(decode(draw_line(number, SIDE), name="a drawing"), detector.preprocess)
    return float(detector.evidence(pixels[None]).score[0])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"), help="the folder that holds the bundles")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=64)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
