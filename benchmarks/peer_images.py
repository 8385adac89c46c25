"""The images that detectors are compared on, as PNG files: the same for all of them."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from anomaly.data import Sample, open_dataset, to_array
from benchmarks.one_class import prepare

QUICK_IMAGES = 200  # of training, of normal and of anomalous test images


@dataclass(frozen=True)
class ImageSet:
    """`source` is what `benchmarks.one_class.prepare` knows it as.

    Attributes:
        recipe: of `anomaly train`, as docs/recipes.md has it for these images.
        vector_side: pixels a side for what takes vectors.
        square_side: pixels a side for what takes images.
    """

    title: str
    source: str
    normal: str
    recipe: str
    vector_side: int
    square_side: int


SETS = {
    "mnist-8": ImageSet("MNIST, digit 8 normal", "mnist", "8", "digits", 28, 32),
    "tiles": ImageSet("Magnetic tiles, whole tiles held out", "magnetic-tile-apart", "", "surfaces", 64, 256),
}


def write_images(name: str, data: Path, cache: Path, quick: bool) -> Path:
    """An MVTec-style tree of PNG files, made once."""
    chosen = SETS[name]
    folder = cache / "images" / (f"{name}-quick" if quick else name)
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    dataset = open_dataset(prepare(chosen.source, data, cache), normal=[chosen.normal] if chosen.normal else [])
    parts = {"train/good": dataset.train_normals()}
    for label, kind in (("normal", "good"), ("anomalous", "anomalous")):
        parts[f"test/{kind}"] = [sample for sample in dataset.test() if sample.label == label]
    unfinished = folder.with_name(f"{folder.name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for part, samples in parts.items():
        _write(unfinished / part, samples[:QUICK_IMAGES] if quick else samples)
    return unfinished.rename(folder)


def _write(folder: Path, samples: Sequence[Sample]) -> None:
    folder.mkdir(parents=True)
    for number, sample in enumerate(samples):
        Image.fromarray(to_array(sample.open())).save(folder / f"{number:05d}.png")
