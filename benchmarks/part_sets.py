"""The data sets of `benchmarks.parts`: parts and surfaces, each with its protocol, written once into a folder."""

import csv
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from anomaly.data import Sample, open_dataset
from benchmarks.boards import write_boards
from benchmarks.mosaics import NUM_CALIBRATE, NUM_FAULTS, NUM_GOOD, NUM_TRAIN, write_mosaics
from benchmarks.one_class import prepare

FEW = 50
QUICK_IMAGES = 40  # of training, of normal and of anomalous test pictures
_SEED = 0


@dataclass(frozen=True)
class PartSet:
    """One data set and its protocol.

    Attributes:
        source: what `_SOURCES` makes, or `benchmarks.one_class.prepare` knows.
        num_train: so many normals train, drawn by a fixed seed; None for all.
        whole: height and width, where 256 pixels a side hide the defects: PatchCore's evidence has a row at this size.
        alpha: the false-alarm rate of the power that is measured; None where AUROC is.
        draw: the seed that draws its test normals, where `benchmarks.manifests` writes it.
        has_parts: whether the manifest tells the part of each normal, so that whole parts are drawn and counted.
        more: options of `anomaly train` for the recipe from scratch, as docs/benchmarks.md has them.
        published: by networks pretrained on ImageNet, and from scratch, with their sources.
    """

    title: str
    source: str
    num_train: int | None = None
    whole: tuple[int, int] | None = None
    alpha: float | None = None
    draw: int = 0
    has_parts: bool = False
    more: str = ""
    published: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Prepared:
    """DATA of the command line, and the normals of `anomaly calibrate` where the protocol has its own."""

    data: str
    calibrate: str | None = None


_ALIKE = "--set auxiliary.memory_bank=1024"
SETS = {
    "tiles-apart": PartSet("Magnetic tiles, whole tiles held out", "magnetic-tile-apart", has_parts=True),
    "tiles": PartSet(
        "Magnetic tiles, drawn by picture",
        "magnetic-tile",
        more=_ALIKE,
        published=("PatchCore 97.9, AUPRO 72.9; DifferNet 97.7", "ALGAN 95.6, GANomaly 76.6"),
    ),
    "elpv": PartSet("ELPV, mono-crystalline cells", "elpv-mono", more=_ALIKE),
    "transistor": PartSet(
        "Transistor (MVTec AD)",
        "transistor",
        published=("PatchCore 100 (Roth 2022)", "FAIR 98–100"),
    ),
    "bottle": PartSet(
        "Bottle (MVTec AD)",
        "bottle",
        published=("PatchCore 100 (Roth 2022)", "FAIR 98–100"),
    ),
    "tiles-50": PartSet("50 normals: tiles, drawn by picture", "magnetic-tile", num_train=FEW, more=_ALIKE),
    "elpv-50": PartSet("50 normals: ELPV", "elpv-mono", num_train=FEW, more=_ALIKE),
    "boards": PartSet("Circuit boards, drawn by program", "boards", whole=(960, 1280)),
    "mosaics": PartSet("Mosaics of cells, faults of 4–8 pixels", "mosaics", whole=(896, 1200), alpha=0.01),
}
_APART = "tiles-apart"
OTHER_DRAWS = {
    f"{_APART}-{draw}": replace(SETS[_APART], title=f"{SETS[_APART].title}, draw {draw}", draw=draw)
    for draw in range(1, 5)
}
"""How much the leading set's figures depend on which tiles are held out. Each draw is as good as draw 0."""
ALL_SETS = SETS | OTHER_DRAWS


def prepare_set(name: str, data: Path, cache: Path, *, quick: bool = False) -> Prepared:
    """Writes the set into `cache` if it is not there. `quick`: few pictures of it."""
    chosen = ALL_SETS[name]
    folder = cache / "data" / chosen.source
    if chosen.source in _WRITERS:
        folder = folder.with_name(f"{folder.name}-quick") if quick else folder
        _write_once(folder, lambda unfinished: _WRITERS[chosen.source](data, unfinished, quick))
        calibrate = folder / "calibrate"
        return Prepared(str(folder / "tree"), str(calibrate) if calibrate.exists() else None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    tree = data / chosen.source
    source = str(tree) if (tree / "train").is_dir() else _written(chosen, data, folder.parent)
    if chosen.num_train is None and not quick:
        return Prepared(source)
    num_test = QUICK_IMAGES if quick else None
    num_train = min(chosen.num_train or QUICK_IMAGES, QUICK_IMAGES) if quick else chosen.num_train
    return Prepared(
        str(_write_part(source, cache / "data" / f"{name}{'-quick' if quick else ''}.csv", num_train, num_test))
    )


def _written(chosen: PartSet, data: Path, folder: Path) -> str:
    return prepare(chosen.source, data, folder / f"draw-{chosen.draw}" if chosen.draw else folder, seed=chosen.draw)


def _write_part(source: str, manifest: Path, num_train: int | None, num_test: int | None) -> Path:
    """A manifest of so many training normals, and of so many test pictures with each label; None for all."""
    dataset, rng = open_dataset(source), np.random.default_rng(_SEED)
    samples = _drawn(dataset.train_normals(), num_train, rng)
    for label in ("normal", "anomalous"):
        samples += _drawn([sample for sample in dataset.test() if sample.label == label], num_test, rng)
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", "split", "mask"])
        for sample in samples:
            for mask in [str(each.resolve()) for each in sample.masks] or [""]:
                writer.writerow([Path(sample.path).resolve(), sample.label, sample.split, mask])
    return manifest


def _drawn(samples: Sequence[Sample], num: int | None, rng: np.random.Generator) -> list[Sample]:
    if num is None or num >= len(samples):
        return list(samples)
    return [samples[index] for index in np.sort(rng.permutation(len(samples))[:num])]


def _write_once(folder: Path, write: Callable[[Path], None]) -> None:
    if not folder.exists():
        unfinished = folder.with_name(f"{folder.name}-unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write(unfinished)
        unfinished.rename(folder)


def _boards(data: Path, folder: Path, quick: bool) -> None:
    nums = (QUICK_IMAGES, QUICK_IMAGES // 2, QUICK_IMAGES // 4) if quick else (260, 100, 50)
    write_boards(folder / "tree", *nums, seed=_SEED)


def _mosaics(data: Path, folder: Path, quick: bool) -> None:
    nums = (QUICK_IMAGES, 100, QUICK_IMAGES // 2, 10) if quick else (NUM_TRAIN, NUM_CALIBRATE, NUM_GOOD, NUM_FAULTS)
    write_mosaics(data, folder, nums, seed=_SEED)


_WRITERS: dict[str, Callable[[Path, Path, bool], None]] = {"boards": _boards, "mosaics": _mosaics}
