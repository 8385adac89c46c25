"""How large a memory of places must be: what a greedy coreset, and places drawn at random, tell of spoilt normals.

    python -m benchmarks.coreset_curve --data DATA_DIR [--sets bottle,transistor,tiles-apart]

DATA_DIR is the folder of the data sets, or the environment variable ANOMALY_DATA. No test picture is read. Half of the
parts of a set's normals fill memories of several sizes. Pictures of other parts, and the same spoilt by kinds that
teach nothing, are judged by the nearest remembered place (benchmarks/patchcore.py), at 256 × 256 pixels.
"""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from anomaly.config import PreprocessConfig, Resize
from anomaly.data import Sample, open_dataset, preprocess, to_array
from anomaly.evaluation import MarkedHeatmap, measure_pixels
from anomaly.training.places.spoilt import CHOOSING_KINDS, spoilt_images
from benchmarks.part_sets import SETS, prepare_set
from benchmarks.patchcore import MAX_CANDIDATES, SIDE, Features, coreset, load_features, nearest

SIZES = (64, 256, 1024, 4096, 16384)
MAX_FITTED, MAX_JUDGED = 200, 60  # pictures
_PIXELS = PreprocessConfig(size=SIDE, channels=3, resize=Resize.STRETCH)

Pixels = NDArray[np.uint8]


def main() -> None:
    """Print a row for each set, way and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ANOMALY_DATA"), help="folder of all data sets")
    parser.add_argument("--models", type=Path, default=Path("out/parts"), help="data sets and φ's graph")
    parser.add_argument("--sets", default="bottle,transistor,tiles-apart", help="comma-separated")
    args = parser.parse_args()
    if args.data is None or (unknown := {*args.sets.split(",")} - {*SETS}):
        parser.error(
            "give --data, the folder of the data sets" if args.data is None else f"no set {', '.join(unknown)}"
        )
    features = load_features((SIDE, SIDE), args.models)
    print("| normals of | places | greedy coreset: image / pixel / AUPRO | at random | MB | ms for each picture |")
    print("|---|---|---|---|---|---|")
    for name in args.sets.split(","):
        normals = open_dataset(prepare_set(name, args.data.resolve(), args.models.resolve()).data).train_normals()
        for row in curve(normals, features):
            print(f"| {SETS[name].title} | {row} |", flush=True)


def curve(normals: Sequence[Sample], features: Features) -> list[str]:
    """The cells behind the set's name, a row for each size."""
    fitted, judged = _halves(normals)
    rng = np.random.default_rng(0)
    places = np.concatenate([_vectors(image, features) for image in _read(fitted)])
    candidates = places[rng.choice(len(places), min(len(places), MAX_CANDIDATES), replace=False)]
    own = _read(judged)
    spoilt = list(spoilt_images(own, range(len(own)), CHOOSING_KINDS, 0))
    seen = [_vectors(image, features) for image in [*own, *(image for image, _ in spoilt)]]
    masks = [np.zeros((SIDE, SIDE), np.bool_)] * len(own) + [mask for _, mask in spoilt]
    farthest_first = coreset(candidates, min(max(SIZES), len(candidates)), seed=0)
    rows = []
    for size in SIZES:
        started = time.monotonic()
        by_coreset = _figures(seen, farthest_first[:size], masks, len(own))
        milliseconds = 1000 * (time.monotonic() - started) / len(seen)
        by_chance = _figures(seen, candidates[:size], masks, len(own))
        share = f"{size:,} ({size / len(places):.2%} of all)"
        rows.append(f"{share} | {by_coreset} | {by_chance} | {candidates[:size].nbytes / 1e6:.2f} | {milliseconds:.1f}")
    return rows


def _halves(normals: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Pictures of half of the parts, and of the others; a picture without a part is one of its own."""
    parts = np.array([sample.group or sample.path for sample in normals])
    drawn = np.random.default_rng(0).permutation(np.unique(parts))
    is_fitted = np.isin(parts, drawn[: len(drawn) // 2])
    fitted, judged = (
        [each for each, is_in in zip(normals, rows, strict=True) if is_in] for rows in (is_fitted, ~is_fitted)
    )
    return fitted[:MAX_FITTED], judged[:MAX_JUDGED]


def _read(samples: Sequence[Sample]) -> Pixels:
    return np.stack([preprocess(to_array(sample.open()), _PIXELS) for sample in samples])


def _vectors(image: Pixels, features: Features) -> NDArray[np.float32]:
    """(places, dimensions)."""
    vectors = features(image[None].astype(np.float32) / 127.5 - 1)
    return vectors.reshape(-1, vectors.shape[-1])


def _figures(
    seen: Sequence[NDArray[np.float32]], bank: NDArray[np.float32], masks: Sequence[NDArray[np.bool_]], num_own: int
) -> str:
    """AUROC of the farthest places, pixel AUROC and AUPRO, in %."""
    maps = [nearest(vectors, bank).reshape(SIDE // 8, SIDE // 8) for vectors in seen]
    labels = np.arange(len(maps)) >= num_own
    heatmaps = [np.asarray(Image.fromarray(each).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for each in maps]
    measures = measure_pixels(lambda: map(MarkedHeatmap, heatmaps, masks))
    found = (roc_auc_score(labels, [each.max() for each in maps]), measures.auroc, measures.aupro)
    return " / ".join(f"{100 * each:.1f}" for each in found)


if __name__ == "__main__":
    main()
