"""Image folders: all normal, a folder per class, or MVTec's layout.

    folder      any images, at any depth                                    all normal
    classes     [train/|test/] <class>/…                                    normal: the classes named by --normal
    mvtec       train/good/…  test/<kind>/…  ground_truth/<kind>/…          normal: good

A folder is a tree of classes if it has `train/` or `test/`, if `--normal` is given, or if it has images in two or more
folders and none beside these. Only a class called "good" is taken as normal without `--normal`.
"""

from collections.abc import Sequence
from pathlib import Path

from anomaly.data.files import find_images, is_image_name, subfolders
from anomaly.data.masks import match_masks, unused_masks
from anomaly.data.samples import Dataset, Label, Sample, Split, check_normal
from anomaly.errors import DataError

_SPLITS: tuple[Split, ...] = ("train", "test")
_GOOD = "good"


def open_tree(root: Path, normal: Sequence[str]) -> Dataset:
    """The data set in a folder of image files.

    Raises:
        DataError: no images, no classes where some are needed, or `normal` missing or unknown.
    """
    splits = [split for split in _SPLITS if (root / split).is_dir()]
    if splits:
        return _open_split_classes(root, splits, normal)
    if normal or _looks_like_classes(root):
        return _open_classes(root, normal)
    images, num_skipped = find_images(root)
    if not images:
        raise DataError(f"{root}: no images found ({num_skipped} other files); expected image files or folders of them")
    return Dataset(str(root), "folder", tuple(Sample(str(path), None, "normal", "") for path in images), num_skipped)


def _looks_like_classes(root: Path) -> bool:
    if any(is_image_name(path) for path in root.iterdir()):
        return False
    return sum(bool(find_images(folder)[0]) for folder in subfolders(root)) >= 2


def _open_classes(root: Path, normal: Sequence[str]) -> Dataset:
    folders = subfolders(root)
    normal = _normal_classes([folder.name for folder in folders], normal, root)
    samples, num_skipped = _class_samples(folders, None, normal, root)
    return Dataset(str(root), "classes", tuple(samples), num_skipped + _count_loose(root, folders))


def _open_split_classes(root: Path, splits: Sequence[Split], normal: Sequence[str]) -> Dataset:
    folders = {split: subfolders(root / split) for split in splits}
    normal = _normal_classes(sorted({folder.name for split in splits for folder in folders[split]}), normal, root)
    mvtec = (root / "train" / _GOOD).is_dir() and set(normal) == {_GOOD}
    masks = root / "ground_truth" if mvtec and (root / "ground_truth").is_dir() else None
    samples: list[Sample] = []
    used = [root / split for split in splits] + ([masks] if masks else [])
    num_skipped = _count_loose(root, used)
    for split in splits:
        has_masks = split == "test" or len(splits) == 1  # their names may be those of training images too
        found, num_others = _class_samples(folders[split], split, normal, root, masks if has_masks else None)
        samples += found
        num_skipped += num_others + _count_loose(root / split, folders[split])
    notes = _mask_notes(masks, samples) if masks else ()
    return Dataset(str(root), "mvtec" if mvtec else "classes", tuple(samples), num_skipped, notes)


def _mask_notes(masks: Path, samples: Sequence[Sample]) -> tuple[str, ...]:
    unused = unused_masks(masks, (mask for sample in samples for mask in sample.masks))
    if not unused:
        return ()
    return (f"{len(unused)} files in {masks} belong to no test image, the first: {unused[0]}",)


def _normal_classes(classes: Sequence[str], normal: Sequence[str], root: Path) -> Sequence[str]:
    if not classes:
        raise DataError(f"{root}: has no class folders; expected one folder per class, such as {root}/train/{_GOOD}")
    if not normal and _GOOD in classes:
        return [_GOOD]
    check_normal(normal, classes, str(root))
    return normal


def _class_samples(
    folders: Sequence[Path], split: Split | None, normal: Sequence[str], root: Path, masks: Path | None = None
) -> tuple[list[Sample], int]:
    samples: list[Sample] = []
    num_skipped = 0
    for folder in folders:
        images, num_others = find_images(folder)
        num_skipped += num_others
        label: Label = "normal" if folder.name in normal else "anomalous"
        found = match_masks(images, masks / folder.name) if masks else {}
        samples += [
            Sample(str(path), split, label, folder.name, masks=found.get(path, ()), masked=masks is not None)
            for path in images
        ]
    return samples, num_skipped


def _count_loose(folder: Path, used: Sequence[Path]) -> int:
    """Files in or below a folder that belong to none of the folders in use."""
    num_loose = 0
    for path in folder.iterdir():
        if path not in used:
            images, num_others = find_images(path) if path.is_dir() else ([path], 0)
            num_loose += len(images) + num_others
    return num_loose
