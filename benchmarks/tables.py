"""Rows of results as the page `docs/benchmarks.md`. AUROC and shares in %."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev

from benchmarks.rows import Row, typed

TITLES = {
    "magnetic-tile-apart": "Magnetic tiles, whole tiles held out",
    "magnetic-tile": "Magnetic tiles, drawn by picture",
    "elpv-mono": "ELPV, mono-crystalline cells",
    "mnist": "MNIST, one digit normal",
    "cifar10": "CIFAR-10, one class normal",
}
NOTES = {
    "magnetic-tile-apart": "No tile is in training and in test, so these figures tell of new parts. The recipe "
    "`parts`, on pretrained features, stands in [parts](parts.md); all here is from scratch.",
    "magnetic-tile": "This split leaks: of nearly every test normal, and of no defect, another picture of the same "
    "tile is among the training images.",
}
DEVELOPMENT = {"mnist": {"2", "8"}, "cifar10": {"cat", "ship"}}
"""The normal classes on whose training images recipes were chosen."""

PUBLISHED = {
    "mnist": "AnoGAN 91.3 and Deep SVDD 94.8 (Ruff 2018), OCGAN 97.5 (Perera 2019), P-KDGAN 97.8, GeoTrans 98.0",
    "cifar10": "ALAD 60.7 (its own split), AnoGAN 61.8, Deep SVDD 64.8, OCGAN 65.6, P-KDGAN 73.8, GeoTrans 86.0",
    "magnetic-tile": "GANomaly 76.6, ALGAN 95.6, DifferNet 97.7 and PatchCore 97.9 (both on ImageNet features)",
}
_PREFACE = """# Benchmarks

`python -m benchmarks.one_class --write docs/benchmarks.md` makes this page of `benchmarks/results/one_class.jsonl`;
each row there is one `anomaly train` and one `anomaly evaluate`. AUROC in %, of the last averaged weights, with
the 95 % interval over test images, ± the standard deviation over seeds. These intervals are by a bootstrap; today's
version computes them [otherwise](guide.md#how-sure-the-figures-are). PCA and 3-NN (nearest neighbours) see the same
pixels of the same images in the same run. "Unseen" classes had no part in choosing the recipe. "Flagged" are
the shares of normal and of anomalous test images beyond the threshold for a false-alarm rate of 5 %. Published figures
are the papers' own. `bigan-former` is the recipe of tiles and cells as it was at commit 20ebbc2, with four kinds of
synthetic defects and 2,000 steps; its `-no-memory` was looked at because of a test figure
([experiments](experiments.md)). Its commands are those of that commit: today's program, which has nine kinds, does not
take them. All others are today's; each was compared with the one that made its row, and resolves to the same recipe.
Speed and memory beside PyOD, anomalib and PCA are in [peers](peers.md) (`python -m benchmarks.peers`); real parts and
large pictures, with pretrained features and without, in [parts](parts.md) (`python -m benchmarks.parts`).
In the commands the name of a data set stands for the path of what the program writes of it.
"""
_FORMER = "bigan-former"


def to_page(rows: Sequence[Row]) -> str:
    """The whole page: for each data set a table of the methods, then one of the classes for each method."""
    parts = [_PREFACE]
    for name, title in TITLES.items():
        of_set = [row for row in rows if row["set"] == name]
        if not of_set:
            continue
        methods = list(dict.fromkeys(row["method"] for row in of_set))
        of_method = {method: [row for row in of_set if row["method"] == method] for method in methods}
        parts.append(f"## {title}\n")
        if name in NOTES:
            parts.append(f"{NOTES[name]}\n")
        parts.append(_methods_table(name, of_method))
        if name in PUBLISHED:
            parts.append(f"Published: {PUBLISHED[name]}.\n")
        for method, own in of_method.items():
            at = ", at commit 20ebbc2" if method.startswith(_FORMER) else ""
            parts.append(f"### {title}: {method}\n\nThe first row's{at}: `{typed(own[0]['command'])}`{_took(own[0])}\n")
            parts.append(_classes_table(own))
    return "\n".join(parts)


def _methods_table(name: str, of_method: dict[str, list[Row]]) -> str:
    heads = ["method", "classes, seeds", "AUROC", "unseen classes", "bigan on the same", "PCA", "3-NN"]
    heads += ["pixel AUROC", "AUPRO"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    default = of_method.get("bigan", [])
    for method, rows in of_method.items():
        unseen = [row for row in rows if row["normal"] not in DEVELOPMENT.get(name, set())]
        classes = {row["normal"] for row in rows}
        same = [row for row in default if row["normal"] in classes]
        lines.append(
            f"| {method} | {_count(rows)} | **{_mean(rows, 'auroc')}**{_over_seeds(rows)} "
            f"| {_mean(unseen, 'auroc') if name in DEVELOPMENT else '–'} | {_mean(same, 'auroc')} "
            f"| {_baseline(rows, 'pca')} | {_baseline(rows, 'knn')} "
            f"| {_mean(rows, 'pixel_auroc')} | {_mean(rows, 'aupro')} |"
        )
    return "\n".join(lines) + "\n"


def _count(rows: Sequence[Row]) -> str:
    """How many classes, and how many seeds each has; where not all have as many, how many have how many."""
    seeds: dict[str, set[int]] = {}
    for row in rows:
        seeds.setdefault(row["normal"], set()).add(row["seed"])
    num_with = Counter(len(each) for each in seeds.values())
    least, *more = sorted(num_with)
    if not more:
        return (
            f"{_num(len(seeds), 'class', 'classes')}, {_num(least, 'seed', 'seeds')}{' each' if len(seeds) > 1 else ''}"
        )
    parts = [f"{num_with[num]} with {num} seeds" for num in more]
    return f"{len(seeds)} classes, {' and '.join(parts)}, the others with {least}"


def _num(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _took(row: Row) -> str:
    """How long its training took, and where; older rows do not know."""
    if "train_s" not in row or row["is_resumed"]:
        return ""
    return f", in {row['train_s']:,.0f} s on {row['machine']}, {row['threads']} threads"


def _classes_table(rows: Sequence[Row]) -> str:
    lines = [
        "| normal | AUROC | 95 % | average precision | PCA | 3-NN | flagged: normal, anomalous |",
        "|---|---|---|---|---|---|---|",
    ]
    for normal in sorted({row["normal"] for row in rows}):
        own = sorted((row for row in rows if row["normal"] == normal), key=lambda row: int(row["seed"]))
        low, high = own[0]["auroc_ci95"]
        lines.append(
            f"| {normal or 'good'} | {_mean(own, 'auroc')}{_over_seeds(own)} | {100 * low:.1f}–{100 * high:.1f} "
            f"| {_mean(own, 'average_precision')} | {_baseline(own, 'pca')} | {_baseline(own, 'knn')} "
            f"| {_mean(own, 'fpr_at_threshold')}, {_mean(own, 'tpr_at_threshold')} |"
        )
    return "\n".join(lines) + "\n"


def _mean(rows: Iterable[Row], key: str) -> str:
    """Over classes of the means over seeds, in %; "–" where nothing has it."""
    by_class: dict[str, list[float]] = {}
    for row in rows:
        if row.get(key) is not None:
            by_class.setdefault(row["normal"], []).append(row[key])
    return f"{100 * fmean(map(fmean, by_class.values())):.1f}" if by_class else "–"


def _over_seeds(rows: Sequence[Row]) -> str:
    """± the standard deviation over seeds of the mean over those classes that have every seed."""
    seeds = sorted({row["seed"] for row in rows})
    if len(seeds) < 2:
        return ""
    auroc = {(row["normal"], row["seed"]): row["auroc"] for row in rows}
    whole = [normal for normal in {row["normal"] for row in rows} if all((normal, seed) in auroc for seed in seeds)]
    if not whole:
        return ""
    return f" ± {100 * stdev(fmean(auroc[normal, seed] for normal in whole) for seed in seeds):.1f}"


def _baseline(rows: Sequence[Row], name: str) -> str:
    return _mean([{**row, name: row["baselines"].get(name)} for row in rows], name)
