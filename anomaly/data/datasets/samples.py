"""What every data set is made of: labelled images that are decoded when they are opened."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from anomaly.counted import counted
from anomaly.data.decoding.decode import Pixels, decode, to_image
from anomaly.data.decoding.limits import DEFAULT_LIMITS, Limits
from anomaly.data.decoding.ranges import FULL_RANGE
from anomaly.data.files.left_out import LeftOut
from anomaly.data.masks.coding import Mask
from anomaly.data.masks.matching import open_masks
from anomaly.errors import DataError, ImageError, UsageError

Split = Literal["train", "test"]
Label = Literal["normal", "anomalous"]
Form = Literal["folder", "mvtec", "classes", "defects", "idx", "manifest", "digits", "arrays"]
HOLD_OUT_EVERY = 5
_MAX_CLASSES = 20  # that a message lists
_NORMAL_WORDS = frozenset(["good", "ok", "normal", "pass", "passed"])


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a data set.

    `path` is what result rows show: the file's path, or a name such as "mnist/test/00007" for an image that has no file
    of its own, whose `pixels` are then in memory: uint8 (h, w[, c]). `kind` is the class or the defect, "" if there is
    none.
    `masked` tells whether the data set has masks at all; `masks` are this image's mask files, which are united.
    `group` is the part that a manifest says it shows, "" where it says nothing.
    """

    path: str
    split: Split | None
    label: Label | None
    kind: str
    pixels: Pixels | None = field(default=None, repr=False, compare=False)
    masks: tuple[Path, ...] = ()
    masked: bool = False
    group: str = ""

    @property
    def source(self) -> Path | Pixels:
        """What `read` takes: the file's path, or the pixels."""
        return Path(self.path) if self.pixels is None else self.pixels

    def open(self, *, limits: Limits = DEFAULT_LIMITS, value_range: int = FULL_RANGE) -> Image.Image | Pixels:
        """The picture, decoded anew each time (see `decode`). Raises ImageError, which names the path."""
        if self.pixels is not None:
            return self.pixels
        return decode(Path(self.path), name=self.path, limits=limits, value_range=value_range)

    def open_mask(self, *, limits: Limits = DEFAULT_LIMITS) -> Mask | None:
        """Where the defect is: bool (h, w), True on the defect; None if unknown.

        A normal image of a data set that has masks has none of it. `mask_coding` says how a mask file is read.

        Raises:
            ImageError: the mask, or the image, whose size it must have, cannot be used (see `open_masks`).
        """
        if not self.masks and not (self.masked and self.label == "normal"):
            return None
        image = self.open(limits=limits)
        size = (image.height, image.width) if isinstance(image, Image.Image) else image.shape[:2]
        if not self.masks:
            return np.zeros(size, np.bool_)
        return open_masks(self.masks, size, is_normal=self.label == "normal", limits=limits)


@dataclass(frozen=True)
class Dataset:
    """Samples in a fixed order, the form they were found in, and the other files inside its folders, with reasons.

    A split is what its name says. Where there is a training split alone, nothing is there to evaluate on; where there
    is a test split alone, nothing may be trained on. Without splits every fifth normal image is held out for `test`,
    if there are anomalous images too. `notes` are sentences on what was joined, is not used or is missing.
    `parts` has the part that each normal image shows, by the image's path, and is empty where nothing asks for parts
    (see `with_parts`). Then every fifth part is held out, with all its images. `columns` are those of a manifest.
    `num_marked` images would be normal by their folders, but have a mask of a defect.
    """

    name: str
    form: Form
    samples: tuple[Sample, ...] = field(repr=False)
    left_out: tuple[LeftOut, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict, repr=False)
    columns: tuple[str, ...] = ()
    num_marked: int = 0

    def train_normals(self) -> list[Sample]:
        """The normal images to learn from: of the training split where there are splits.

        Raises:
            DataError: there are none.
        """
        normals = self.known_normals()
        if not normals and self._splits() == {"test"}:
            raise DataError(
                f"{self.name}: has a test split only, and nothing of a test split is learnt from; expected a training "
                "split too. Give a data set that has one, or a folder of normal images"
            )
        if marked := self.why_all_marked():
            raise DataError(f"{self.name}: no normal images to train on: {marked}")
        if not normals:
            raise DataError(f"{self.name}: no normal images to train on; expected at least 20 in the training split")
        return normals

    def why_all_marked(self) -> str:
        """Why there is nothing to learn from where masks leave no image normal, and what to do; else ""."""
        if not self.num_marked or self.known_normals():
            return ""
        marked = counted(
            self.num_marked,
            "image has a mask that marks something, so it counts as anomalous",
            "images have masks that mark something, so they count as anomalous",
        )
        return f"{marked}. Where masks mark something else than defects, such as cells, move them out of the data"

    def known_normals(self) -> list[Sample]:
        """The normal images of `train_normals`, which may be none here: what a baseline may know."""
        return [sample for sample in self._of("train") if sample.label == "normal"]

    def untested_normals(self) -> list[Sample]:
        """All normal images but those of a test split; where there are no splits, those held out for `test` too."""
        return [sample for sample in self.samples if sample.label == "normal" and sample.split != "test"]

    def labelled_defects(self) -> list[Sample]:
        """The anomalous images that may teach: of the training split where there are splits, else all.

        Raises:
            DataError: there are none.
        """
        splits = self._splits()
        defects = [s for s in self.samples if s.label == "anomalous" and (not splits or s.split == "train")]
        if not defects:
            only = " in its training split, and nothing of a test split is learnt from" if splits else ""
            raise DataError(
                f"{self.name}: has no labelled defects{only}. Add some: in a folder of their own beside the normal "
                "images, such as train/scratch beside train/good; in a manifest, as anomalous; or with --defects"
            )
        return defects

    def with_defects(self, other: "Dataset") -> "Dataset":
        """With the labelled defects of another data set, which may teach, and nothing else of it.

        Raises:
            DataError: the other has none.
        """
        split: Split | None = "train" if self._splits() else None
        defects = (replace(sample, split=split) for sample in other.labelled_defects())
        return replace(
            self,
            samples=(*self.samples, *defects),
            left_out=(*self.left_out, *other.left_out),
            notes=(*self.notes, *other.notes),
        )

    def test(self) -> list[Sample]:
        """The labelled images to evaluate on: of the test split where there are splits.

        Without splits all anomalous images, and the normal ones that `train_normals` has held out.

        Raises:
            DataError: one of the two labels is missing, without which there is nothing to tell apart.
        """
        if self._splits() == {"train"}:
            raise DataError(
                f"{self.name}: has a training split only, and an evaluation needs normal and anomalous images that "
                "were not trained on: give a data set with a test split, or one without splits"
            )
        labelled = [sample for sample in self._of("test") if sample.label is not None]
        num_normal = sum(sample.label == "normal" for sample in labelled)
        num_anomalous = len(labelled) - num_normal
        if not num_normal or not num_anomalous:
            raise DataError(
                f"{self.name}: an evaluation needs normal and anomalous images; found {num_normal} normal and "
                f"{num_anomalous} anomalous ones: give a data set that has both"
            )
        return labelled

    def parts_of(self, paths: Sequence[str]) -> list[str] | None:
        """The parts that normal images of these paths show; None where nothing asks for parts."""
        return [self.parts[path] for path in paths] if self.parts else None

    @property
    def holds_out(self) -> bool:
        """Whether there are no splits, and some of the normal images are held out for `test`."""
        return not self._splits() and {"normal", "anomalous"} <= {sample.label for sample in self.samples}

    def _splits(self) -> set[Split]:
        return {sample.split for sample in self.samples if sample.split is not None}

    def _of(self, split: Split) -> Sequence[Sample]:
        if self._splits():
            return [sample for sample in self.samples if sample.split == split]
        if not self.holds_out:
            return self.samples
        normals = [sample.path for sample in self.samples if sample.label == "normal"]
        units = [self.parts.get(path, path) for path in normals]
        chosen = set(list(dict.fromkeys(units))[::HOLD_OUT_EVERY])
        held_out = {path for path, unit in zip(normals, units, strict=True) if unit in chosen}
        return [
            sample
            for sample in self.samples
            if (split == "test") == (sample.label != "normal" or sample.path in held_out)
        ]


def open_readable(
    samples: Iterable[Sample], *, limits: Limits = DEFAULT_LIMITS, value_range: int = FULL_RANGE
) -> Iterator[tuple[Sample, Image.Image]]:
    """The samples that can be read, each with its picture ("L" or "RGB"), decoded when it is asked for.

    Others are passed over: who reads all of them says which cannot be read, and why.
    """
    for sample in samples:
        try:
            picture = to_image(sample.open(limits=limits, value_range=value_range))
        except ImageError:
            continue
        yield sample, picture


def is_normal_word(name: str) -> bool:
    """Whether a class is called as the normal one often is: good, ok, normal or pass, in capitals or not."""
    return name.lower() in _NORMAL_WORDS


def class_names(normal: object) -> tuple[str, ...]:
    """The names of classes that are called normal.

    Raises:
        UsageError: it is one text, whose every character would be a class, or has what is no text, such as 0 for "0".
    """
    if isinstance(normal, Iterable) and not isinstance(normal, str):
        names = tuple(normal)
        if all(isinstance(name, str) for name in names):
            return names
    raise UsageError(f'normal is {normal!r}; expected a list or tuple of the names of classes, such as ("0", "good")')


def check_normal(normal: Sequence[str], classes: Sequence[str], name: str) -> None:
    """Raises DataError unless `normal` names one or more of the classes; the message lists the first ones."""
    more = f" and {len(classes) - _MAX_CLASSES:,} more" if len(classes) > _MAX_CLASSES else ""
    listed = ", ".join(classes[:_MAX_CLASSES]) + more
    if not normal:
        likely = next((f", for example --normal {kind}" for kind in classes if is_normal_word(kind)), " CLASS")
        raise DataError(f"{name}: which classes are normal? Its classes are {listed}; say it with --normal{likely}")
    unknown = [kind for kind in normal if kind not in classes]
    if unknown:
        raise DataError(f"{name}: has no class {', '.join(unknown)}, given with --normal; its classes are {listed}")


def refuse_normal(normal: Sequence[str], name: str, reason: str) -> None:
    """Raises DataError if classes were called normal where there are none to choose from."""
    if normal:
        raise DataError(f"{name}: --normal {','.join(normal)} has no meaning here, because {reason}; leave it out")
