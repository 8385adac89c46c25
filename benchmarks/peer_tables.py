"""Rows of `benchmarks.peers` as the page `docs/peers.md`."""

from collections.abc import Sequence

from benchmarks.peer_environments import OURS, TITLES
from benchmarks.peer_images import SETS
from benchmarks.rows import Row

_NO_ROWS = "No set of images has been measured with all detectors yet, so there is no table.\n"
_PREFACE = """# Beside other libraries

`python -m benchmarks.peers --write docs/peers.md` makes this page of `benchmarks/results/peers.jsonl`. This makes the
rows, and an environment for each peer in the folder given:

```sh
python -m benchmarks.peers --data DATA_DIR --cache out/peers            # all; one to two hours
python -m benchmarks.peers --data DATA_DIR --cache out/peers --only ours   # our rows again, with the bundles it has
```

All get the same PNG files, and every figure is of a fresh process on two cores:

- **AUROC** in %, with the 95 % interval over test images, by a bootstrap. Ours is that of `anomaly evaluate`.
- **training**: the command that trains, ended after the minutes that the table names, where a detector can be told so.
- **first score**: the cold command, from start to end: import, load the model, score one file, write its row.
- **images a second**: one command that scores the folder of test images, start and decoding included.
- **memory**: the most that the largest process of the command held (resident).
- **environment**: the size of the peer's installation on disk.

Ours are `anomaly train`, `anomaly score` and `anomaly evaluate`, with one recipe for each set of images, from
[recipes](recipes.md). Peers are at their own defaults, by the scripts in `benchmarks/peer_scripts/`, and at these
sizes: vectors (PCA, PyOD) are 28 × 28 pixels of digits and 64 × 64 of tiles; images (GANomaly) 32 × 32 and 256 × 256.

What is known of the peers, left as it is:

- PyOD's ALAD trains for 200 batches of 32 images by default, which is seconds. "Trained on" is the same detector after
  its own `train_more` for all of the time. It scores with dropout on, so that a second run gives other scores. Its
  discriminator of pairs sees G of a random latent in the place of the reconstruction.
- PyOD's DeepSVDD cannot be told a time: it ends after its 100 epochs.
- anomalib chooses a threshold and a scale for GANomaly's scores on anomalous images, and clamps what it scales. Here it
  has normal images alone, and so its scores are neither scaled nor clamped.
- anomalib needs torchvision, of which there is no build for the pinned torch on a CPU. The plain build has a compiled
  part that needs CUDA and is left out; GANomaly does not use it.
"""
_COLUMNS = {
    "train_s": "training, s",
    "first_score_s": "first score, s",
    "images_per_s": "images a second",
    "train_mb": "memory, training, MB",
    "score_mb": "memory, scoring, MB",
}
_MORE_IS_BETTER = {"images_per_s"}
_WHY = {
    ("pca", "train_s"): "PCA is one decomposition of a matrix; ours trains networks by thousands of steps",
    ("pca", "first_score_s"): "PCA imports scikit-learn alone, and has one small matrix to load",
    ("pca", "images_per_s"): "PCA is one product of matrices for each image; ours runs four networks",
    ("pca", "train_mb"): "PCA holds the images once, and no networks with their gradients",
    ("pca", "score_mb"): "PCA needs no runtime for networks",
    ("pyod-alad", "train_s"): "ALAD's default is 200 batches of 32 images, too few to learn from",
    ("pyod-alad", "images_per_s"): "its networks are of three layers of at most 25 units on small vectors; ours are "
    "convolutional and see the pixels",
    ("pyod-alad", "train_mb"): "its networks see vectors of at most 64 × 64 pixels; ours are convolutional, see whole "
    "images, and are made into a graph at the end",
    ("pyod-alad-longer", "train_s"): "both train for the minutes given; ours then calibrates and makes its graph",
    ("pyod-deep-svdd", "train_mb"): "its network sees vectors of at most 64 × 64 pixels; ours are convolutional, see "
    "whole images, and are made into a graph at the end",
    ("anomalib-ganomaly", "train_s"): "both train for the minutes given; ours then calibrates and makes its graph",
    ("pyod-deep-svdd", "train_s"): "its network has two layers, of 64 and 32 units; ours are convolutional",
    ("pyod-deep-svdd", "images_per_s"): "its network has two layers, of 64 and 32 units, on small vectors; ours are "
    "convolutional and see the pixels",
}


def to_page(rows: Sequence[Row]) -> str:
    """The whole page."""
    return f"{_PREFACE}\n{to_tables(rows) or _NO_ROWS}"


def to_tables(rows: Sequence[Row]) -> str:
    """For each set of images the figures, then the ratios, then why a figure of ours is not the better one."""
    parts = []
    for name, images in SETS.items():
        of_set = {row["detector"]: row for row in rows if row["set"] == name}
        if of_set:
            own = [of_set[detector] for detector in TITLES if detector in of_set]
            parts.append("\n".join([f"## {images.title}\n", *_figures(own, images.recipe), *_ratios(own)]))
    return "\n".join(parts)


def worse(rows: Sequence[Row]) -> list[tuple[str, str, float]]:
    """Peer, column and ratio wherever ours is not the better one; rows of one set of images."""
    return [
        (row["detector"], key, ratio)
        for row in rows
        for key, ratio in _ratios_of(rows, row).items()
        if round(ratio, 2) < 1
    ]


def why(detector: str, key: str) -> str:
    """ALAD trained on is ALAD in all but the time that its training takes."""
    known = _WHY.get((detector, key)) or _WHY.get((detector.removesuffix("-longer"), key))
    return known or "not explained yet"


def _figures(rows: Sequence[Row], recipe: str) -> list[str]:
    heads = ["detector", "AUROC", "95 %", *_COLUMNS.values(), "environment, MB"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    failed = []
    for row in rows:
        cells = [TITLES[row["detector"]]]
        if "error" in row:
            failed.append(f"- {TITLES[row['detector']]} has no figures: {row['error'].rstrip('.')}.")
            cells += ["–"] * (len(heads) - 1)
        else:
            low, high = row["auroc_ci95"]
            cells += [f"**{100 * row['auroc']:.1f}**", f"{100 * low:.1f}–{100 * high:.1f}"]
            cells += [_number(row[key]) for key in _COLUMNS]
            cells += [_number(row["environment_mb"]) if "environment_mb" in row else "–"]
        lines.append(f"| {' | '.join(cells)} |")
    measured = [row for row in rows if "error" not in row]
    machines = sorted({row["machine"] for row in measured})
    limits = sorted({row["minutes"] for row in measured})
    nums = sorted({row["num_images"] for row in measured})
    command = f"`anomaly train DATA --recipe {recipe} --max-minutes {'|'.join(f'{each:g}' for each in limits)}`"
    told = f"On {' and '.join(machines)}; {' and '.join(f'{num:,}' for num in nums)} test images; ours by {command}."
    return [*lines, "", *([told, ""] if measured else []), *failed, *([""] if failed else [])]


def _ratios(rows: Sequence[Row]) -> list[str]:
    peers = [row for row in rows if _ratios_of(rows, row)]
    if not peers:
        return []
    heads = ["ours beside", "AUROC, points more", *_COLUMNS.values()]
    lines = ["How many times better ours is; below 1, the peer is.\n"]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    (ours,) = [row for row in rows if row["detector"] == OURS]
    for row in peers:
        ratios = _ratios_of(rows, row)
        cells = [TITLES[row["detector"]], f"{100 * (ours['auroc'] - row['auroc']):+.1f}"]
        lines.append(f"| {' | '.join([*cells, *(f'{ratios[key]:.2f}' for key in _COLUMNS)])} |")
    reasons = [
        f"- {TITLES[detector]}, {_COLUMNS[key]} ({ratio:.2f}): {why(detector, key)}."
        for detector, key, ratio in worse(rows)
    ]
    return [*lines, "", *(["Why ours is not the better one everywhere:\n", *reasons, ""] if reasons else [])]


def _ratios_of(rows: Sequence[Row], row: Row) -> dict[str, float]:
    """More than 1 where ours is better; nothing for our own row, nor where either has no figures."""
    ours = [each for each in rows if each["detector"] == OURS and "error" not in each]
    if not ours or row["detector"] == OURS or "error" in row:
        return {}
    ratios = {key: ours[0][key] / row[key] for key in _COLUMNS}
    return {key: ratio if key in _MORE_IS_BETTER else 1 / ratio for key, ratio in ratios.items()}


def _number(value: float) -> str:
    """Three digits, as far as they are before the point all of them."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
