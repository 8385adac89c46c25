"""How many normal pictures are called anomalous when they come smaller, larger or wider than those that calibrated.

    python -m benchmarks.picture_sizes MODEL DATA [--normal CLASS]

Normal pictures of the test split are scaled by PIL (Lanczos), or get black on both sides, before they are scored.
Nothing is chosen by it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from anomaly import Detector, load_detector
from anomaly.counted import size_text
from anomaly.data import open_dataset, to_image
from anomaly.defaults import ALPHA

WIDTHS = (1.0, 1.1, 1.2, 1.3, 1.5, 2.0)
FACTORS = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0)
MOST = 300


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data")
    parser.add_argument("--normal", action="append", default=[], metavar="CLASS")
    args = parser.parse_args()
    detector = load_detector(args.model)
    normals = [sample for sample in open_dataset(args.data, normal=args.normal).test() if sample.label == "normal"]
    pictures = [to_image(sample.open()) for sample in normals[:MOST]]
    for change, amounts in ((scaled, FACTORS), (widened, WIDTHS)):
        flagged = f"flagged of {len(pictures)}, alpha {ALPHA:g}"
        print(f"| {change.__name__} by | the first is of | {flagged} | median score | warned |")
        print("|---|---|---|---|---|")
        for amount in amounts:
            print(_row(detector, amount, [change(picture, amount) for picture in pictures]))
        print()


def _row(detector: Detector, amount: float, pictures: Sequence[Image.Image]) -> str:
    scores = detector.score(pictures)
    warned = np.mean([warning is not None for warning in scores.warnings])
    flagged, median = np.mean(np.array(scores.is_anomalous, float)), np.median(scores.score)
    size = size_text(pictures[0].height, pictures[0].width)
    return f"| {amount:g} | {size} | {flagged:.0%} | {median:.2f} | {warned:.0%} |"


def scaled(picture: Image.Image, factor: float) -> Image.Image:
    """By so much; the picture itself by 1."""
    if factor == 1:
        return picture
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def widened(picture: Image.Image, factor: float) -> Image.Image:
    """So many times as wide: in the middle of black."""
    wide = Image.new(picture.mode, (round(picture.width * factor), picture.height))
    wide.paste(picture, ((wide.width - picture.width) // 2, 0))
    return wide


if __name__ == "__main__":
    main()
