"""The normal images of a training: read, divided into sets, and recorded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import DataRecord, NormalRecord
from anomaly.config import Recipe
from anomaly.data import (
    Dataset,
    Limits,
    NormalSplit,
    PixelStore,
    Sample,
    few_parts,
    image_keys,
    part_keys,
    split_distinct,
)
from anomaly.pipeline.record import data_record, identity
from anomaly.pipeline.train_options import TrainOptions


@dataclass(frozen=True)
class Normals:
    """The preprocessed images, their keys, the part that each shows where that is known, and the sets they are in."""

    store: PixelStore
    keys: NDArray[np.uint64]
    parts: Sequence[str] | None
    split: NormalSplit
    record: DataRecord

    @property
    def identity(self) -> str:
        """What a run that is resumed must have in common with the run before."""
        return identity(self.record, self.parts)

    @property
    def report(self) -> list[Sample]:
        """The images that are held out to report on."""
        return [self.store.samples[row] for row in self.split.report]

    @property
    def notes(self) -> list[str]:
        """What reading them showed that the user should know."""
        few = few_parts(len(set(self.parts))) if self.parts else None
        return [*self.store.remarks, *([few] if few else [])]

    def with_parts(self, normals: NormalRecord, groups: str) -> NormalRecord:
        """The record of these images with the parts that `groups` has found, if there are any."""
        return normals.with_parts(self.keys, part_keys(self.parts, groups)) if self.parts else normals


def read_normals(
    dataset: Dataset,
    samples: Sequence[Sample],
    recipe: Recipe,
    options: TrainOptions,
    pixels: Path,
    *,
    on_image: Callable[[], None],
) -> Normals:
    """All that can be read; the file `pixels` holds them preprocessed.

    Raises:
        DataError: too few can be read, or there are too few distinct ones.
        StorageError: `pixels` cannot be written.
    """
    store = PixelStore.build(
        samples,
        recipe.preprocess,
        pixels,
        limits=Limits.for_pixels(options.max_pixels),
        on_image=on_image,
        instead="choose another --out",
    )
    parts = dataset.parts_of(store.paths)
    keys = image_keys(store.pixels)
    split = split_distinct(keys, seed=recipe.training.seed, groups=parts, with_report=not recipe.has_generator)
    resize = recipe.preprocess.resize
    record = data_record(dataset, store, split, normal=options.normal, groups=options.groups, resize=resize)
    return Normals(store, keys, parts, split, record)
