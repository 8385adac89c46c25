"""Detectors beside the plain baselines, one class normal: trained, evaluated, and a row of results for each run.

    python -m benchmarks.one_class --data DATA_DIR --set mnist [--method bigan] [--classes 2,8] [--seeds 0,1]
    python -m benchmarks.one_class --write docs/benchmarks.md

The first runs `anomaly train` and `anomaly evaluate` for each class and seed of which `results/one_class.jsonl` has no
row yet; killed, it goes on where it was, in the middle of a training too. The second makes the tables of all rows.
DATA_DIR has the folders `mnist`, `cifar10`, `magnetic-tile` and `elpv-mono`.

One recipe serves all classes of a data set, and is one of `anomaly recipes list`. Recipes were chosen on images of the
training splits alone: of the development classes, and of normals with pseudo-anomalies made from them. Two decisions
had test figures before them, and docs/experiments.md tells both: that the tiles held out whole go without a memory
bank, which development says too, and that heatmaps stayed as they were, which it does not.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import manifests
from benchmarks.rows import FOLDER, Row, append_row, read_rows
from benchmarks.tables import to_page

RESULTS = FOLDER / "one_class.jsonl"
ANOGAN_IMAGES = "1000"  # test images that a latent search is measured on


@dataclass(frozen=True)
class DataSet:
    """`classes` are normal one at a time; none where the data set says itself what is normal.

    `recipe` and `more` are options of `anomaly train`. `auxiliaries` are set beside them; `alone` unsets those of the
    recipe.
    """

    classes: tuple[str, ...] = ()
    recipe: str = "--recipe digits"
    more: str = ""
    auxiliaries: str = ""
    alone: str = ""


_BF16 = "--set training.precision=bf16"  # which "auto" is on machines that are fast at it: rows say what they were
_SURFACES = DataSet(recipe="--recipe surfaces", more=_BF16, alone="--set auxiliary.synthetic_defects=false")
_ALIKE = replace(_SURFACES, auxiliaries="--set auxiliary.memory_bank=1024")
SETS = {
    "mnist": DataSet(tuple("0123456789")),
    "cifar10": DataSet(
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        recipe="--recipe upright-objects",
        more=_BF16,
        alone="--set auxiliary.rotation=false",
    ),
    "magnetic-tile": _ALIKE,
    "magnetic-tile-apart": _SURFACES,
    "elpv-mono": _ALIKE,
}
METHODS = ("bigan", "bigan-no-game", "anogan", "autoencoder")
"""The data set's recipe; the same without the game; the recipe `anogan`; an autoencoder of the data set's sizes."""


@dataclass(frozen=True)
class Run:
    """One training and its evaluation."""

    data_set: str
    method: str
    normal: str
    seed: int

    @property
    def name(self) -> str:
        """Names its folder."""
        return "-".join(filter(None, (self.data_set, self.method, self.normal, str(self.seed))))

    def options(self) -> list[str]:
        """Of `anomaly train`, beside DATA and --out."""
        normal = ["--normal", self.normal] if self.normal else []
        return [*normal, "--seed", str(self.seed), *self.recipe().split()]

    def recipe(self) -> str:
        """The options that say what is learnt, of whatever class and by whatever seed."""
        own = SETS[self.data_set]
        match self.method:
            case "anogan":
                return "--recipe anogan"
            case "autoencoder":
                return f"{own.recipe} {own.more} {own.alone} --set training.method=autoencoder"
            case "bigan-no-game":
                return f"{own.recipe} {own.more} {own.auxiliaries} --set training.adversarial=0"
            case _:
                return f"{own.recipe} {own.more} {own.auxiliaries}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of all data sets")
    parser.add_argument("--set", choices=sorted(SETS), default="mnist", help="which of them")
    parser.add_argument("--method", choices=sorted(METHODS), default="bigan")
    parser.add_argument("--classes", help="normal classes, comma-separated; all if left out")
    parser.add_argument("--seeds", default="0", help="comma-separated")
    parser.add_argument("--models", type=Path, default=Path("out/one_class"), help="where bundles and reports go")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--write", type=Path, help="make the page of all rows, and run nothing")
    args = parser.parse_args(arguments)
    if args.write:
        args.write.write_text(to_page(read_rows(args.results)), encoding="utf-8")
        return
    if args.data is None:
        parser.error("give --data, the folder of the data sets, or --write, the page to make of the rows there are")
    classes = args.classes.split(",") if args.classes else list(SETS[args.set].classes) or [""]
    source = prepare(args.set, args.data, args.models)
    done = {(row["set"], row["method"], row["normal"], row["seed"]) for row in read_rows(args.results)}
    for run in _runs(args.set, args.method, classes, [int(seed) for seed in args.seeds.split(",")]):
        if (run.data_set, run.method, run.normal, run.seed) not in done:
            row = measure(run, source, args.models / run.name)
            append_row(args.results, row)
            print(f"{run.name}: AUROC {100 * row['auroc']:.1f}, baselines {row['baselines']}", flush=True)


def measure(run: Run, source: str, out: Path) -> Row:
    """Train and evaluate: what was found, and which run it was."""
    normal = ["--normal", run.normal] if run.normal else []
    sample = ["--sample", ANOGAN_IMAGES] if run.method == "anogan" else []
    command = shlex.join(["anomaly", "train", run.data_set, *run.options()])
    own = {"set": run.data_set, "method": run.method, "normal": run.normal, "seed": run.seed, "command": command}
    return measure_on(source, run.options(), [*normal, *sample], out) | own


def measure_on(source: str, training: Sequence[str], evaluation: Sequence[str], out: Path) -> Row:
    """Train, or go on where a killed run was, then evaluate on the test split; each with its options.

    `train_s` are the seconds of `anomaly train`, of its last part only where `is_resumed`.
    """
    model, report = out / "model", out / "report"
    is_resumed = any((model / ".training").glob("*/checkpoint.safetensors"))
    started = time.monotonic()
    _anomaly("train", source, *training, "--out", str(model), *(["--resume"] if is_resumed else []))
    took = {"train_s": round(time.monotonic() - started, 1), "is_resumed": is_resumed}
    _anomaly("evaluate", str(model), source, *evaluation, "--out", str(report))
    metrics = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    return took | {name: value for name, value in metrics.items() if name not in ("model", "data", "failures")}


def _runs(data_set: str, method: str, classes: Sequence[str], seeds: Sequence[int]) -> Iterator[Run]:
    for seed in seeds:
        for normal in classes:
            yield Run(data_set, method, normal, seed)


def prepare(data_set: str, data: Path, out: Path, *, seed: int = 0) -> str:
    """The DATA of the command line: MNIST's folder as it is, CIFAR-10 unpacked once, else a manifest.

    `seed` draws its test normals.
    """
    match data_set:
        case "mnist":
            return str(data / "mnist")
        case "cifar10":
            folder = out / "cifar10"
            if not folder.exists():
                manifests.main([data_set, "--data", str(data), "--out", str(folder)])
            return str(folder)
        case _:
            manifests.main([data_set, "--data", str(data), "--out", str(out), "--seed", str(seed)])
            return str(out / f"{data_set}.csv")


def _anomaly(*arguments: str) -> None:
    program = Path(sys.executable).with_name("anomaly")
    subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
