"""Detectors of real parts, pretrained and from scratch, beside PCA, neighbours and PatchCore's evidence on the same φ.

    python -m benchmarks.parts --data DATA_DIR [--sets tiles-apart,boards] [--only pca,knn,patchcore] [--seeds 0,1]
    python -m benchmarks.parts --write docs/parts.md

The first measures each method on each set of which `results/parts.jsonl` has no row yet; killed, it goes on where it
was. DATA_DIR is the folder of the data sets, or the environment variable ANOMALY_DATA. `--quick` tries all of it on few
pictures, and keeps its rows in the folder of `--models`. Methods:

- parts, surfaces: `anomaly train --recipe NAME --max-minutes M`, then `anomaly evaluate`; once for each seed. Where 256
  pixels a side hide the defects, on boards and mosaics, `parts` is the recipe `large-parts`.
- pca, knn: on 64 × 64 grey pixels. They do not depend on the seed.
- patchcore: PatchCore's evidence on φ at 256 pixels a side, without training (benchmarks/patchcore.py).
- patchcore-whole: the same on pictures of their own size, where 256 pixels hide the defects: boards and mosaics.
- by-place: the nearest normal at the same place, of the same φ at 256 pixels a side, without training.
- by-place-measured: the same, in deviations from what normals show there when each is left out (its whole part, where
  the set tells parts). Not where 256 pixels hide the defects.
- registration: phase correlation and a z-map, on the boards (benchmarks/registration.py).

Nothing here chooses anything. What chose the recipes: docs/experiments.md.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.calibration import Calibration
from anomaly.config import PreprocessConfig
from anomaly.data import Sample, open_dataset, preprocess, to_array
from anomaly.evaluation import MarkedHeatmap, knn_scores, measure_pixels, pca_scores
from anomaly.evaluation.metrics import image_metrics, rates_at
from anomaly.pipeline.pixel_figures import read_masks
from benchmarks.part_sets import ALL_SETS, SETS, Prepared, prepare_set
from benchmarks.parts_tables import to_page
from benchmarks.patchcore import (
    SIDE,
    PatchScores,
    by_place_scores,
    load_features,
    measured_by_place_scores,
    patchcore_scores,
)
from benchmarks.registration import registration_scores
from benchmarks.rows import FOLDER, Row, append_row, read_rows

RESULTS = FOLDER / "parts.jsonl"
OURS = ("parts", "surfaces")
BASELINES = ("pca", "knn", "patchcore", "patchcore-whole", "by-place", "by-place-measured", "registration")
QUICK_MINUTES = 0.2
_PIXELS = PreprocessConfig(size=64)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ANOMALY_DATA"), help="folder of all data sets")
    parser.add_argument("--models", type=Path, default=Path("out/parts"), help="data sets, bundles and reports")
    parser.add_argument("--sets", default=",".join(SETS), help="comma-separated")
    parser.add_argument("--only", default=",".join((*BASELINES, *OURS)), help="methods, comma-separated")
    parser.add_argument("--seeds", default="0,1", help="of each training, comma-separated")
    parser.add_argument("--minutes", type=float, default=10, help="of each training, at most")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true", help="few pictures, short trainings")
    parser.add_argument("--write", type=Path, help="make the page of all rows, and run nothing")
    args = parser.parse_args(arguments)
    if args.write:
        args.write.write_text(to_page(read_rows(args.results)), encoding="utf-8")
        return
    sets, methods = args.sets.split(","), args.only.split(",")
    if unknown := sorted({*sets} - {*ALL_SETS} | {*methods} - {*BASELINES, *OURS}):
        parser.error(f"there is no {', '.join(unknown)}; there are the sets {list(ALL_SETS)} and {[*BASELINES, *OURS]}")
    if args.data is None:
        parser.error("give --data, the folder of the data sets, or set ANOMALY_DATA")
    if args.quick:
        args.minutes, args.results = QUICK_MINUTES, args.models / "quick.jsonl"
    done = {(row["set"], row["method"], row["seed"]) for row in read_rows(args.results)}
    for name in sets:
        prepared = prepare_set(name, args.data.resolve(), args.models.resolve(), quick=args.quick)
        for method, seed in runs(name, methods, [int(seed) for seed in args.seeds.split(",")]):
            if (name, method, seed) in done:
                continue
            started = time.monotonic()
            if method in OURS:
                figures = measure_ours(name, method, seed, prepared, args.models, args.minutes)
            else:
                figures = measure_baseline(name, method, prepared, args.models)
            took = {"took_s": round(time.monotonic() - started, 1)}
            append_row(args.results, {"set": name, "method": method, "seed": seed} | figures | took)
            print(f"{name}, {method}, seed {seed}: {_told(figures)}", flush=True)


def runs(name: str, methods: Sequence[str], seeds: Sequence[int]) -> list[tuple[str, int]]:
    """Methods of this set with the seeds that matter to them; the registration is for the boards."""
    chosen = []
    for method in methods:
        if method == "registration" and name != "boards":
            continue
        if method == "patchcore-whole" and ALL_SETS[name].whole is None:
            continue
        if method == "by-place-measured" and ALL_SETS[name].whole is not None:
            continue
        chosen += [(method, seed) for seed in (seeds if method in OURS else (0,))]
    return chosen


def measure_ours(name: str, method: str, seed: int, prepared: Prepared, models: Path, minutes: float) -> Row:
    """Train, calibrate where the set has its own normals for it, evaluate on the test split."""
    out, chosen = models / f"{name}-{method}-{seed}", ALL_SETS[name]
    recipe = "large-parts" if method == "parts" and chosen.whole else method
    model, report = out / "model", out / "report"
    options = ["--recipe", recipe, "--max-minutes", f"{minutes:g}", "--seed", str(seed)]
    options += chosen.more.split() if recipe == "surfaces" else []
    groups = ["--groups", "group"] if chosen.has_parts else []
    options += groups
    is_resumed = any((model / ".training").glob("*/checkpoint.safetensors"))
    started = time.monotonic()
    _anomaly("train", prepared.data, *options, "--out", str(model), *(["--resume"] if is_resumed else []))
    train_s = round(time.monotonic() - started, 1)
    if prepared.calibrate:
        _anomaly("calibrate", str(model), prepared.calibrate, *groups)
    alpha = ["--alpha", str(chosen.alpha)] if chosen.alpha else []
    _anomaly("evaluate", str(model), prepared.data, *alpha, *groups, "--out", str(report))
    metrics = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    own = {"command": shlex.join(["anomaly", "train", name, *options]), "train_s": train_s, "is_resumed": is_resumed}
    left_out = ("model", "method", "data", "failures", "mask_failures", "seed")  # the paths are of this machine
    return own | {key: value for key, value in metrics.items() if key not in left_out}


def measure_baseline(name: str, method: str, prepared: Prepared, models: Path) -> Row:
    """The same figures of what is not trained. Where the set has normals to calibrate with, thresholds are of those."""
    dataset, chosen = open_dataset(prepared.data), ALL_SETS[name]
    normals, test = dataset.train_normals(), dataset.test()
    held_out = open_dataset(prepared.calibrate).train_normals() if prepared.calibrate else []
    found = _baseline_scores(method, normals, [*test, *held_out], chosen.whole, models)
    scores = found.scores if isinstance(found, PatchScores) else found
    labels = np.array([sample.label == "anomalous" for sample in test])
    metrics = image_metrics(scores[: len(test)], labels)
    row: Row = {"num_train": len(normals), "num_normal": metrics.num_normal, "num_anomalous": metrics.num_anomalous}
    row |= {"auroc": metrics.auroc, "auroc_ci95": list(metrics.auroc_ci95)}
    if held_out:
        assert chosen.alpha is not None, "what has normals to calibrate with is measured by its power"
        threshold = Calibration.fit(scores[len(test) :]).threshold(chosen.alpha)
        fpr, tpr = rates_at(scores[: len(test)], labels, threshold)
        row |= {"alpha": chosen.alpha, "num_calibration": len(held_out)}
        row |= {"fpr_at_threshold": fpr, "tpr_at_threshold": tpr}
    return row | (_pixel_figures(found, test) if isinstance(found, PatchScores) else {})


def _baseline_scores(
    method: str, normals: list[Sample], test: list[Sample], whole: tuple[int, int] | None, models: Path
) -> NDArray[np.float64] | PatchScores:
    match method:
        case "pca":
            return pca_scores(_pixels(normals), _pixels(test))
        case "knn":
            return knn_scores(_pixels(normals), _pixels(test))
        case "registration":
            return registration_scores(normals, test)
        case "by-place":
            return by_place_scores(normals, test, load_features((SIDE, SIDE), models), (SIDE, SIDE))
        case "by-place-measured":
            return measured_by_place_scores(normals, test, load_features((SIDE, SIDE), models), (SIDE, SIDE))
        case "patchcore":
            size = (SIDE, SIDE)
        case _:
            assert whole is not None, "the other sets have no such row"
            size = whole
    return patchcore_scores(normals, test, load_features(size, models), size)


def _pixel_figures(found: PatchScores, test: Sequence[Sample]) -> Row:
    """Of the pictures whose mask is known, at their own size, as `anomaly evaluate` has them."""
    read = read_masks(test)
    if read is None:
        return {}
    masks = read.masks
    measures = measure_pixels(
        lambda: (MarkedHeatmap(found.heatmap(index, *mask.shape), mask) for index, mask in masks.items())
    )
    return {"pixel_auroc": measures.auroc, "aupro": measures.aupro}


def _pixels(samples: Sequence[Sample]) -> NDArray[np.uint8]:
    return np.stack([preprocess(to_array(sample.open()), _PIXELS) for sample in samples])


def _told(row: Row) -> str:
    named = {"auroc": "AUROC", "pixel_auroc": "pixel AUROC", "aupro": "AUPRO"}
    named |= {"tpr_at_threshold": "found", "fpr_at_threshold": "false alarms"}
    return ", ".join(f"{word} {100 * row[key]:.1f}" for key, word in named.items() if row.get(key) is not None)


_SOME_FAILED = 1  # a file or a mask could not be used: the report says which


def _anomaly(*arguments: str) -> None:
    program = Path(sys.executable).with_name("anomaly")
    done = subprocess.run([program, *arguments], stdout=subprocess.DEVNULL)
    if done.returncode not in (0, _SOME_FAILED):
        raise SystemExit(f"anomaly {arguments[0]} ended with status {done.returncode}")


if __name__ == "__main__":
    main()
