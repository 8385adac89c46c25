"""The same weights and the same scores as a checkout of before: trained and scored side by side, on one machine.

    git worktree add ../before 66b0e31
    python -m benchmarks.before_after --before ../before [--only surfaces,anogan]

For each case the old checkout trains by its options and this one by its recipe, with the same seed. Then both score
the same images with the old bundle, the shipped ones too. Weights must be the same to the bit, scores to 1e-6 of their
size, those of a latent search to 1e-3.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors.numpy
from sklearn.datasets import load_digits

from anomaly.bundle import load
from anomaly.bundle.schema1 import weights_of

ROOT = Path(__file__).parents[1]
COMMON = ("digits", "--normal", "0", "--device", "cpu")
SURFACES = "--size 32 --resize stretch --width 4 --batch-size 8"
SEARCHED = "--method anogan --search-start prior --search-steps 100 --search-rate 0.1"
CASES = {
    "digits": ("--steps 200", "--recipe digits --steps 200"),
    "few-images": ("--steps 100 --augment", "--recipe few-images --steps 100"),
    "surfaces": (
        f"{SURFACES} --steps 40 --negatives",
        "--recipe surfaces --size 32 --steps 40 --set training.precision=fp32",
    ),
    "surfaces with a memory bank": (
        f"{SURFACES} --steps 40 --negatives --memory",
        "--recipe surfaces --size 32 --steps 40 --set training.precision=fp32 --set auxiliary.memory_bank=1024",
    ),
    "surfaces in bf16": (
        f"{SURFACES} --steps 40 --negatives --memory --precision bf16 --train-precision bf16",
        "--recipe surfaces --size 32 --steps 40 --set training.precision=bf16 --set auxiliary.memory_bank=1024 "
        "--set score.precision=bf16",
    ),
    "upright-objects": (
        "--steps 60 --width 16 --turns",
        "--recipe upright-objects --steps 60 --set training.precision=fp32",
    ),
    "anogan": ("--steps 100 --method anogan", "--recipe anogan --steps 100"),
    "f-anogan": ("--steps 99 --method f-anogan", "--recipe f-anogan --steps 99"),
    "alad": ("--steps 60 --method alad", "--recipe alad --steps 60"),
    "autoencoder": ("--steps 200 --method autoencoder", "--recipe autoencoder --steps 200"),
    "mlp-gan": (
        f"{SEARCHED} --steps 60 --network mlp --latent-dim 100 --no-spectral-norm",
        "--recipe mlp-gan --steps 60",
    ),
    "dcgan": (f"{SEARCHED} --steps 60 --discriminator-batch-norm --latent-dim 100", "--recipe dcgan --steps 60"),
    "lenet": (f"{SEARCHED} --steps 60 --network lenet --size 32 --no-spectral-norm", "--recipe lenet --steps 60"),
    "uniform-prior": (f"{SEARCHED} --steps 60 --prior uniform", "--recipe uniform-prior --steps 60"),
    "minimax": (f"{SEARCHED} --steps 60 --loss minimax", "--recipe minimax --steps 60"),
    "wasserstein-clipped": (
        f"{SEARCHED} --steps 60 --loss wasserstein --clip-weights 0.01",
        "--recipe wasserstein-clipped --steps 60",
    ),
    "wasserstein-penalty": (
        f"{SEARCHED} --steps 60 --loss wasserstein --gradient-penalty 10",
        "--recipe wasserstein-penalty --steps 60",
    ),
    "hinge": (f"{SEARCHED} --steps 60 --loss hinge", "--recipe hinge --steps 60"),
    "algorithm-1": (
        f"{SEARCHED} --steps 60 --d-steps 2 --optimizer sgd --learning-rate 0.02",
        "--recipe algorithm-1 --steps 60",
    ),
    "two-g-steps": (f"{SEARCHED} --steps 60 --g-steps 2", "--recipe two-g-steps --steps 60"),
    "anogan-cross-entropy": (
        f"{SEARCHED} --steps 60 --search-objective cross-entropy",
        "--recipe anogan-cross-entropy --steps 60",
    ),
    "anogan-saturating": (
        f"{SEARCHED} --steps 60 --search-objective saturating",
        "--recipe anogan-saturating --steps 60",
    ),
    "anogan-2017": (f"{SEARCHED} --steps 60", "--recipe anogan-2017 --steps 60"),
}
"""The options of the old command line, and those of today's that must give the same weights."""

SHIPPED = ("mnist", "mnist-anogan")
TOLERANCE, SEARCH_TOLERANCE = 1e-6, 1e-3

_TRAIN = "from anomaly.cli import app; app()"
_SCORE = """
import sys, numpy, anomaly
scores = anomaly.load_detector(sys.argv[1], device="cpu").score(list(numpy.load(sys.argv[2])))
numpy.savez(sys.argv[3], score=scores.score, p_value=scores.p_value, heatmap=numpy.stack(scores.heatmap))
"""


def main() -> int:
    """Compare all; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the project as it was")
    parser.add_argument("--only", help="cases, comma-separated")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [*CASES, *SHIPPED]
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.save(folder / "images.npy", _images())
        for name in wanted:
            model = options.before / "models" / name
            told = []
            if name in CASES:
                model = folder / name.replace(" ", "-") / "before"
                told.append(_compare_training(options.before.resolve(), name, model))
            told.append(_compare_scores(options.before.resolve(), model.resolve(), folder))
            failed += [name] if any("DIFFERENT" in line for line in told) else []
            print(f"{name:28} {'; '.join(told)}", flush=True)
    print(f"{len(wanted) - len(failed)} of {len(wanted)} are the same" + (f"; not {failed}" if failed else ""))
    return 1 if failed else 0


def _images() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Two hundred of scikit-learn's digits (n, h, w), of all kinds."""
    images: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]] = np.rint(load_digits().images[:200] * 15.9)
    return images.astype(np.uint8)


def _compare_training(before: Path, name: str, model: Path) -> str:
    old_options, new_options = CASES[name]
    new_model = model.with_name("after")
    _python(before, _TRAIN, "train", *COMMON, *old_options.split(), "--out", str(model))
    _python(ROOT, _TRAIN, "train", *COMMON, *new_options.split(), "--out", str(new_model))
    old = weights_of(safetensors.numpy.load_file(model / "1" / "weights.safetensors"))
    new = safetensors.numpy.load_file(new_model / "1" / "weights.safetensors")
    if old.keys() != new.keys():
        return f"weights DIFFERENT in name: {sorted(old.keys() ^ new.keys())[:4]}"
    different = [key for key in old if old[key].tobytes() != new[key].tobytes()]
    return f"weights DIFFERENT: {different[:4]}" if different else f"{len(old)} weights the same to the bit"


def _compare_scores(before: Path, model: Path, folder: Path) -> str:
    found = []
    for checkout in (before, ROOT):
        _python(checkout, _SCORE, str(model), str(folder / "images.npy"), str(folder / "scores.npz"))
        found.append(dict(np.load(folder / "scores.npz")))
    old, new = found
    difference = float(np.max(np.abs(new["score"] - old["score"]) / np.abs(old["score"])))
    allowed = SEARCH_TOLERANCE if load(model).manifest.recipe.search else TOLERANCE
    word = "same" if difference <= allowed else "DIFFERENT"
    heat = float(np.max(np.abs(new["heatmap"] - old["heatmap"])))
    return f"scores {word} ({difference:.1e} of their size, heatmaps to {heat:.0e})"


def _python(checkout: Path, program: str, *arguments: str) -> None:
    """Run a program with a checkout's own code."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    command: Sequence[str] = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{checkout}: {' '.join(arguments)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
