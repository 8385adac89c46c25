"""What every data set is made of: labelled images that are decoded when they are opened."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from anomaly.data.decode import Pixels, decode
from anomaly.data.masks import Mask, open_masks
from anomaly.errors import DataError

Split = Literal["train", "test"]
Label = Literal["normal", "anomalous"]
Form = Literal["folder", "mvtec", "classes", "idx", "manifest", "digits"]
HOLD_OUT_EVERY = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a data set.

    `path` is what result rows show: the file's path, or a name such as "mnist/test/00007" for an image that has no file
    of its own, whose `pixels` are then in memory: uint8 (h, w). `kind` is the class or the defect, "" if there is none.
    `masked` tells whether the data set has masks at all; `masks` are this image's mask files, which are united.
    """

    path: str
    split: Split | None
    label: Label | None
    kind: str
    pixels: Pixels | None = field(default=None, repr=False, compare=False)
    masks: tuple[Path, ...] = ()
    masked: bool = False

    @property
    def source(self) -> Path | Pixels:
        """What `read` takes: the file's path, or the pixels."""
        return Path(self.path) if self.pixels is None else self.pixels

    def open(self) -> Image.Image | Pixels:
        """The picture, decoded anew each time. Raises ImageError, which names the path."""
        return decode(Path(self.path), name=self.path) if self.pixels is None else self.pixels

    def open_mask(self) -> Mask | None:
        """Where the defect is: bool (h, w), True on the defect; None if unknown.

        A normal image of a data set that has masks has none of it. `mask_coding` says how a mask file is read.

        Raises:
            ImageError: the mask, or the image, whose size it must have, cannot be used (see `open_masks`).
        """
        if not self.masks and not (self.masked and self.label == "normal"):
            return None
        image = self.open()
        size = (image.height, image.width) if isinstance(image, Image.Image) else image.shape[:2]
        return (
            open_masks(self.masks, size, is_normal=self.label == "normal") if self.masks else np.zeros(size, np.bool_)
        )


@dataclass(frozen=True)
class Dataset:
    """Samples in a fixed order, the form they were found in, and the number of other files inside its folders.

    `notes` are sentences on what of the data was joined, left out or is missing, to be said before anything is done.
    """

    name: str
    form: Form
    samples: tuple[Sample, ...]
    num_skipped: int
    notes: tuple[str, ...] = ()

    def train_normals(self) -> list[Sample]:
        """The normal images to learn from: of the training split where there are two splits.

        Where there are anomalous images but no splits, every fifth normal one is held out for `test`.

        Raises:
            DataError: there are none.
        """
        normals = [sample for sample in self._of("train") if sample.label == "normal"]
        if not normals:
            raise DataError(f"{self.name}: no normal images to train on; expected at least 20 in the training split")
        return normals

    def test(self) -> list[Sample]:
        """The labelled images to evaluate on: of the test split where there are two splits.

        Else all anomalous images, and the normal ones that `train_normals` has held out.

        Raises:
            DataError: one of the two labels is missing, without which there is nothing to tell apart.
        """
        labelled = [sample for sample in self._of("test") if sample.label is not None]
        num_normal = sum(sample.label == "normal" for sample in labelled)
        num_anomalous = len(labelled) - num_normal
        if not num_normal or not num_anomalous:
            raise DataError(
                f"{self.name}: an evaluation needs normal and anomalous images; found {num_normal} normal and "
                f"{num_anomalous} anomalous ones: give a data set that has both"
            )
        return labelled

    def _of(self, split: Split) -> Sequence[Sample]:
        if {sample.split for sample in self.samples} >= {"train", "test"}:
            return [sample for sample in self.samples if sample.split == split]
        if not any(sample.label == "anomalous" for sample in self.samples):
            return self.samples
        normals = [sample.path for sample in self.samples if sample.label == "normal"]
        held_out = set(normals[::HOLD_OUT_EVERY])
        return [
            sample
            for sample in self.samples
            if (split == "test") == (sample.label != "normal" or sample.path in held_out)
        ]


def check_normal(normal: Sequence[str], classes: Sequence[str], name: str) -> None:
    """Raises DataError unless `normal` names one or more of the classes; the message lists them."""
    listed = ", ".join(classes)
    if not normal:
        raise DataError(
            f"{name}: which classes are normal? Its classes are {listed}; say it with --normal, "
            f"for example --normal {classes[0]}"
        )
    unknown = [kind for kind in normal if kind not in classes]
    if unknown:
        raise DataError(f"{name}: has no class {', '.join(unknown)}, given with --normal; its classes are {listed}")


def refuse_normal(normal: Sequence[str], name: str, reason: str) -> None:
    """Raises DataError if classes were called normal where there are none to choose from."""
    if normal:
        raise DataError(f"{name}: --normal {','.join(normal)} has no meaning here, because {reason}; leave it out")
