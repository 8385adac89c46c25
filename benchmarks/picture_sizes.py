"""How many normal pictures are called anomalous when they come smaller or larger than those that calibrated.

    python -m benchmarks.picture_sizes MODEL DATA [--normal CLASS]

Normal pictures of the test split are scaled by PIL (Lanczos) before they are scored. Nothing is chosen by it.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from anomaly import load_detector
from anomaly.counted import size_text
from anomaly.data import open_dataset, to_image
from anomaly.defaults import ALPHA

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
    print(f"| scaled by | the first is of | flagged of {len(pictures)}, alpha {ALPHA:g} | median score | warned |")
    print("|---|---|---|---|---|")
    for factor in FACTORS:
        scores = detector.score([scaled(picture, factor) for picture in pictures])
        first = scaled(pictures[0], factor)
        warned = np.mean([warning is not None for warning in scores.warnings])
        flagged, median = np.mean(np.array(scores.is_anomalous, float)), np.median(scores.score)
        print(f"| {factor:g} | {size_text(first.height, first.width)} | {flagged:.0%} | {median:.2f} | {warned:.0%} |")


def scaled(picture: Image.Image, factor: float) -> Image.Image:
    """By so much; the picture itself by 1."""
    if factor == 1:
        return picture
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
