"""Image folders: all normal, a folder per class, or MVTec's layout.

    folder      any images, at any depth                                    all normal, or by masks beside them
    classes     [train/|test/] <class>/…                                    normal: the classes named by --normal
    mvtec       train/good/…  test/<kind>/…  ground_truth/<kind>/…          normal: good
    defects     any images, at any depth                                    normal: none (`open_tree_of_defects`)

A folder is a tree of classes if it has `train/` or `test/`, if `--normal` is given, or if it has images in two or more
folders and none beside these. Only a class called "good" is taken as normal without `--normal`. Images that lie in
`train/` itself are the normal ones. Masks are found in every form, whatever the classes are called.
"""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from anomaly.counted import counted
from anomaly.data.datasets.images import Found, find_images
from anomaly.data.datasets.levels import check_level, check_normals
from anomaly.data.datasets.samples import (
    Dataset,
    Form,
    Label,
    Sample,
    Split,
    check_normal,
    is_normal_word,
    refuse_normal,
)
from anomaly.data.files.left_out import LeftOut, Why, left_out_sentences
from anomaly.data.files.listing import subfolders
from anomaly.data.masks.finding import marking
from anomaly.data.masks.matching import check_some_used
from anomaly.errors import DataError

_SPLITS: tuple[Split, ...] = ("train", "test")
_GOOD = "good"


def open_tree(root: Path, normal: Sequence[str]) -> Dataset:
    """The data set in a folder of image files.

    Raises:
        DataError: no images, no classes where some are needed, `normal` missing or unknown, or `root` holds data sets
            and is none itself.
        OSError: the folder cannot be listed.
    """
    splits = {folder.name: split for folder in subfolders(root) for split in _SPLITS if folder.name.lower() == split}
    found = find_images(root, classes=normal)
    if not found.images:
        raise DataError(f"{root}: {_nothing_in(found)}; expected image files or folders of them")
    tree = _Tree(root, found)
    if splits:
        return tree.with_splits(splits, normal)
    check_level(root, found.images, normal)
    if not normal and len(tree.masks) == len(found.images):
        return tree.of_normals()
    if normal or _looks_like_classes(tree.parts):
        return tree.with_classes(normal)
    return tree.of_normals()


def open_tree_of_defects(root: Path) -> Dataset:
    """The data set in a folder of defective images alone, at any depth; the kind of each is the folder in `root`.

    Raises:
        DataError: no images; or it or a folder in it is called as normal images are, or one in it as splits are.
        OSError: the folder cannot be listed.
    """
    found = find_images(root)
    if not found.images:
        raise DataError(f"{root}: {_nothing_in(found)}; expected images of defects, or folders of them")
    tree = _Tree(root, found)
    if is_normal_word(root.resolve().name):
        raise DataError(f"{root}: is called as folders of normal images are. Give a folder of defective images alone")
    for folder in sorted({folder for parts in tree.parts for folder in parts[:-1]}):
        if folder.lower() in _SPLITS or is_normal_word(folder):
            raise DataError(
                f"{root}: has a folder {folder}, so not all of its images are taken for defective ones. Give a folder "
                "of defective images alone, such as that of one kind"
            )
    return tree.of_defects()


@dataclass(frozen=True)
class _Place:
    """Where an image stands in a tree: "" is the kind of one that lies in no class folder."""

    path: Path
    split: Split | None
    kind: str


@dataclass
class _Tree:
    """The files under `root`, on their way to samples."""

    root: Path
    found: Found
    outside: list[Path] = field(default_factory=list)

    @cached_property
    def masks(self) -> dict[Path, tuple[Path, ...]]:
        """The masks of each image that has some."""
        return self.found.masks.of(self.found.images)

    @property
    def parts(self) -> list[tuple[str, ...]]:
        return [self._parts(path) for path in self.found.images]

    def of_normals(self) -> Dataset:
        """All normal, but for those with a mask of a defect."""
        return self._dataset("folder", [_Place(path, None, "") for path in self.found.images], {""})

    def of_defects(self) -> Dataset:
        """All anomalous."""
        places = [_Place(path, None, parts[0] if len(parts) > 1 else "") for path, parts in self._with_parts()]
        return self._dataset("defects", places, ())

    def with_classes(self, normal: Sequence[str]) -> Dataset:
        """Folders of classes without splits; what lies beside them is left out."""
        places = [_Place(path, None, parts[0]) for path, parts in self._with_parts() if len(parts) > 1]
        self.outside += [path for path, parts in self._with_parts() if len(parts) == 1]
        normals = self._normal_classes({place.kind for place in places}, normal)
        return self._dataset("classes", places, normals)

    def with_splits(self, splits: Mapping[str, Split], normal: Sequence[str]) -> Dataset:
        """Folders of classes within splits; or files in the training split, which are then its normal images.

        Files in the test split itself are used if their masks say which are normal.
        """
        places: list[_Place] = []
        loose: list[_Place] = []
        for path, parts in self._with_parts():
            split = splits.get(parts[0]) if len(parts) > 1 else None
            if split is None:
                self.outside.append(path)
            elif len(parts) == 2:
                loose.append(_Place(path, split, ""))
            else:
                places.append(_Place(path, split, parts[1]))
        if not any(place.split == "train" for place in places):
            places += [place for place in loose if place.split == "train" or place.path in self.masks]
            loose = [place for place in loose if place.split == "test" and place.path not in self.masks]
        self.outside += [place.path for place in loose]
        places.sort(key=lambda place: _SPLITS.index(place.split or "train"))
        classes = {place.kind for place in places if place.kind}
        if places and not classes:
            refuse_normal(normal, str(self.root), "its images lie in the training split itself, not in class folders")
            return self._dataset("folder", places, {""})
        normals = self._normal_classes(classes, normal)
        is_mvtec = {kind.lower() for kind in normals} == {_GOOD}
        return self._dataset("mvtec" if is_mvtec else "classes", places, {"", *normals})

    def _normal_classes(self, classes: Collection[str], normal: Sequence[str]) -> Collection[str]:
        if not classes:
            raise DataError(
                f"{self.root}: has no class folders; expected one folder per class, such as {self.root}/train/{_GOOD}"
            )
        good = [kind for kind in sorted(classes) if kind.lower() == _GOOD]
        if not normal and good:
            return good
        named = _as_on_disk(normal, classes)
        check_normal(named, sorted(classes), str(self.root))
        return named

    def _dataset(self, form: Form, places: Sequence[_Place], normals: Collection[str]) -> Dataset:
        """The mask tells whether there is a defect, where it lies beside the picture or no tested class says so."""
        telling = [p for p in places if not (p.kind and p.split == "test") or p.path in self.found.masks.beside]
        marked = marking({mask for place in telling for mask in self.masks.get(place.path, ())})
        defective = {place.path for place in telling if not marked.isdisjoint(self.masks.get(place.path, ()))}
        masks = {place.path: self.masks[place.path] for place in places if place.path in self.masks}
        samples: list[Sample] = []
        for place in places:
            is_normal = place.kind in normals and place.path not in defective
            label: Label = "normal" if is_normal else "anomalous"
            own = masks.get(place.path, ())
            samples.append(Sample(str(place.path), place.split, label, place.kind, masks=own, masked=bool(masks)))
        check_normals(self.root, samples)
        used = {mask for each in masks.values() for mask in each}
        if any(sample.label == "anomalous" or not sample.kind for sample in samples):
            check_some_used(self.found.masks.in_folders, used)
        left_out = [LeftOut(str(mask), Why.MASK) for mask in self.found.masks if mask not in used]
        left_out += [LeftOut(str(path), Why.ELSEWHERE) for path in self.outside]
        num_marked = sum(place.kind in normals and place.path in defective for place in places)
        left_out = [*self.found.left_out, *left_out]
        return Dataset(str(self.root), form, tuple(samples), tuple(left_out), num_marked=num_marked)

    def _with_parts(self) -> list[tuple[Path, tuple[str, ...]]]:
        return list(zip(self.found.images, self.parts, strict=True))

    def _parts(self, path: Path) -> tuple[str, ...]:
        return path.relative_to(self.root).parts


def _as_on_disk(normal: Sequence[str], classes: Collection[str]) -> list[str]:
    """Names as their folders have them: of letters with accents there are two forms, which look alike."""
    on_disk = {unicodedata.normalize("NFC", kind): kind for kind in classes}
    return [kind if kind in classes else on_disk.get(unicodedata.normalize("NFC", kind), kind) for kind in normal]


def _looks_like_classes(images: Sequence[tuple[str, ...]]) -> bool:
    """By the paths below the root. A folder called as normals are is a class, whatever lies beside the folders."""
    folders = {parts[0] for parts in images if len(parts) > 1}
    has_loose = any(len(parts) == 1 for parts in images)
    return len(folders) >= 2 and (not has_loose or any(map(is_normal_word, folders)))


def _nothing_in(found: Found) -> str:
    """That there are no images, and what there is."""
    others = [file for file in found.left_out if file.why is Why.NO_IMAGE]
    rest = [file for file in found.left_out if file.why is not Why.NO_IMAGE]
    rest += [LeftOut(str(mask), Why.MASK) for mask in found.masks]
    return "; ".join([f"no images found ({counted(len(others), 'other file')})", *left_out_sentences(rest)])
