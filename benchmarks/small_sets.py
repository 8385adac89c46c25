"""Few normal images, and anomalies hidden among them: AUROC against both, beside the baselines on the same images.

    python -m benchmarks.small_sets --data DATA_DIR --set mnist [--classes 2,8] [--steps 1000]
    python -m benchmarks.small_sets --write docs/small-sets.md

The first makes a manifest for each number of training images and for each share of hidden anomalies, then runs `anomaly
train` and `anomaly evaluate` on it, and appends a row to `results/small_sets.jsonl`; killed, it goes on where it was.
Hidden anomalies take the place of normals. Of MNIST they come from the training split of the other digits; of surfaces,
which have anomalies in the test split only, a fixed draw of them is for hiding and in no test. What has fewer images is
part of what has more.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from anomaly.data import Sample, open_dataset, to_array
from benchmarks.one_class import Run, measure_on, prepare
from benchmarks.rows import FOLDER, Row, append_row, read_rows

RESULTS = FOLDER / "small_sets.jsonl"
NUMS = (50, 100, 300, 1000)
SHARES = (0.01, 0.05, 0.1)
MANY = 1000  # images that are trained on as they are
SEED = 0
_METHODS = {"bigan": "**BiGAN**", "pca": "PCA", "knn": "3-NN"}
_PREFACE = """# Small and contaminated training sets

`python -m benchmarks.small_sets --write docs/small-sets.md` makes this page of `benchmarks/results/small_sets.jsonl`.
AUROC in % over the test split, one seed; PCA and 3-NN (nearest neighbours) learn from the same images. Some of the
images are taken for [*select* and *calibrate*](guide.md#the-split), hidden anomalies with them: 7 and 12 of 50, and a
tenth each of 1,000. Each training is by the data set's recipe in docs/benchmarks.md, with `--steps 1000`, and with
`--set training.augment=true` for fewer than 1,000 images.
"–": there are not so many normal images.
"""


@dataclass(frozen=True)
class Case:
    """`num` training images, None for all, a `share` of which are hidden anomalies."""

    data_set: str
    normal: str
    num: int | None
    share: float

    @property
    def name(self) -> str:
        """Names its folder."""
        num = "all" if self.num is None else str(self.num)
        return "-".join(filter(None, (self.data_set, self.normal, num, f"{100 * self.share:.0f}")))

    def options(self, num_images: int, steps: int) -> list[str]:
        """Of `anomaly train`: the data set's recipe, for so many steps; few images are moved a little."""
        recipe = Run(self.data_set, "bigan", self.normal, SEED).recipe()
        augment = "--set training.augment=true" if num_images < MANY else ""
        return f"{recipe} {augment} --steps {steps} --seed {SEED}".split()


@dataclass(frozen=True)
class Images:
    """In the order in which they are drawn: normals to train on, anomalies to hide; and the test split."""

    normals: list[Sample]
    hidden: list[Sample]
    test: list[Sample]

    def training(self, case: Case) -> list[Sample]:
        """The case's images; with too few of them there, what there is."""
        num = min(case.num or len(self.normals), len(self.normals))
        num_hidden = round(case.share * num)
        return [*self.normals[: num - num_hidden], *self.hidden[:num_hidden]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder of all data sets")
    parser.add_argument("--set", choices=["mnist", "magnetic-tile", "elpv-mono"], default="mnist")
    parser.add_argument("--classes", default="2,8", help="normal classes of mnist, comma-separated")
    parser.add_argument("--steps", type=int, default=1000, help="of each training")
    parser.add_argument("--models", type=Path, default=Path("out/small_sets"), help="where bundles and reports go")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--write", type=Path, help="make the page of all rows, and run nothing")
    args = parser.parse_args(arguments)
    if args.write:
        args.write.write_text(to_page(read_rows(args.results)), encoding="utf-8")
        return
    if args.data is None:
        parser.error("give --data, the folder of the data sets, or --write, the page to make of the rows there are")
    source = prepare(args.set, args.data, args.models)
    done = {(row["set"], row["normal"], row["num"], row["share"]) for row in read_rows(args.results)}
    for normal in args.classes.split(",") if args.set == "mnist" else [""]:
        images = _images(args.set, source, normal)
        for case in _cases(args.set, normal, len(images.normals)):
            if (case.data_set, case.normal, case.num, case.share) in done:
                continue
            folder = args.models / case.name
            training = images.training(case)
            manifest = _write_manifest(training, images.test, folder)
            row = measure_on(str(manifest), case.options(len(training), args.steps), [], folder)
            own = {"set": case.data_set, "normal": case.normal, "num": case.num, "share": case.share}
            append_row(args.results, row | own | {"steps": args.steps})
            print(f"{case.name}: AUROC {100 * row['auroc']:.1f}, baselines {row['baselines']}", flush=True)


def to_page(rows: Sequence[Row]) -> str:
    """Two tables: AUROC in % against the number of training images, and against the share of hidden anomalies."""
    return "\n".join(
        [
            _PREFACE,
            "## How many normal images\n",
            _table(rows, "num", [row for row in rows if not row["share"]]),
            "## Anomalies hidden among all of them\n",
            _table(rows, "share", [row for row in rows if row["num"] is None]),
        ]
    )


def _table(rows: Sequence[Row], key: str, chosen: Sequence[Row]) -> str:
    values = sorted({row[key] for row in chosen}, key=lambda value: np.inf if value is None else value)
    heads = ["all" if value is None else f"{value:.0%}" if key == "share" else str(value) for value in values]
    lines = [f"| normal | method | {' | '.join(heads)} |", "|---|---|" + "---|" * len(values)]
    for data_set, normal in dict.fromkeys((row["set"], row["normal"]) for row in rows):
        own = {row[key]: row for row in chosen if (row["set"], row["normal"]) == (data_set, normal)}
        for method, title in _METHODS.items():
            cells = [_cell(own[value], method) if value in own else "–" for value in values]
            lines.append(f"| {data_set} {normal} | {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: Row, method: str) -> str:
    return f"{100 * (row['auroc'] if method == row['method'] else row['baselines'][method]):.1f}"


def _cases(data_set: str, normal: str, num_normals: int) -> Iterator[Case]:
    for num in [num for num in NUMS if num < num_normals] + [None]:
        yield Case(data_set, normal, num, 0.0)
    for share in SHARES:
        yield Case(data_set, normal, None, share)


def _images(data_set: str, source: str, normal: str) -> Images:
    rng = np.random.default_rng(SEED)
    dataset = open_dataset(source, normal=[normal] if normal else [])
    normals, test = _shuffled(dataset.train_normals(), rng), dataset.test()
    num_hidden = round(max(SHARES) * len(normals))
    if data_set == "mnist":
        others = [sample for sample in dataset.samples if sample.split == "train" and sample.label == "anomalous"]
        return Images(normals, _shuffled(others, rng)[:num_hidden], test)
    hidden = _shuffled([sample for sample in test if sample.label == "anomalous"], rng)[:num_hidden]
    kept = {sample.path for sample in hidden}
    return Images(normals, hidden, [sample for sample in test if sample.path not in kept])


def _shuffled(samples: Sequence[Sample], rng: np.random.Generator) -> list[Sample]:
    return [samples[index] for index in rng.permutation(len(samples))]


def _write_manifest(training: Sequence[Sample], test: Sequence[Sample], folder: Path) -> Path:
    """All training images are called normal, hidden anomalies too."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", "split", "mask"])
        for sample in training:
            writer.writerow([_file_of(sample, folder.parent), "normal", "train", ""])
        for sample in test:
            for mask in sample.masks or ("",):
                writer.writerow([_file_of(sample, folder.parent), sample.label, "test", mask])
    return manifest


def _file_of(sample: Sample, folder: Path) -> Path:
    """The image's own file, or one that is made of its pixels."""
    if sample.pixels is None:
        return Path(sample.path).resolve()
    file = (folder / "images" / sample.path).with_suffix(".png").resolve()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(to_array(sample.open())).save(file)
    return file


if __name__ == "__main__":
    main()
