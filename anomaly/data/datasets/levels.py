"""Whether a folder is a data set itself, or holds data sets one or more levels below: then training on it is a mistake.

An archive that was unpacked into a folder of its own, or the folder of all products, has the trees one level too low.
Taken as a folder of normal images it would teach the defects, too.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from anomaly.data.datasets.samples import Sample, is_normal_word
from anomaly.errors import DataError

_SPLITS = frozenset(["train", "test"])
_MAX_NAMED = 6
_DEFECT_WORDS = frozenset(
    (
        *("abnormal", "anomalies", "anomalous", "anomaly", "bad", "defect", "defective", "defects", "fail", "failed"),
        *("faulty", "ko", "ng", "nok", "reject", "rejected", "rejects", "scrap"),
    )
)

Parts = tuple[str, ...]


def check_level(root: Path, images: Sequence[Path], normal: Sequence[str]) -> None:
    """Raises DataError if folders below `root` are data sets; the message lists them.

    With `normal` the user has said that the folders in `root` are classes; only trees with splits are then refused.
    """
    folders = {path.relative_to(root).parts[:-1] for path in images}
    trees = _trees_with_splits(folders) | (set() if normal else _trees_of_classes(folders))
    highest = sorted(tree for tree in trees if not any(tree[:depth] in trees for depth in range(1, len(tree))))
    if not highest:
        return
    named = [str(root.joinpath(*tree)) for tree in highest]
    more = f" and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
    kind = "a data set lies" if len(named) == 1 else f"{len(named)} data sets lie"
    advice = f"Give {named[0]}" if len(named) == 1 else f"Give one of them, for example {named[0]}"
    raise DataError(
        f"{root}: {kind} below it: {', '.join(named[:_MAX_NAMED])}{more}; taken as one folder of images, defects would "
        f"be among the normal ones. {advice}"
    )


def check_normals(root: Path, samples: Sequence[Sample]) -> None:
    """Raises DataError if an image that counts as normal lies in a folder that is called as defects are.

    A class that the user has named as normal may be called anything; that counts for folders below it, and for those of
    images without a class.
    """
    for sample in samples:
        folders = Path(sample.path).relative_to(root).parts[:-1] if sample.label == "normal" else ()
        below = folders[folders.index(sample.kind) + 1 :] if sample.kind in folders else folders
        if defect := next((folder for folder in below if folder.lower() in _DEFECT_WORDS), None):
            raise DataError(
                f"{root}: {sample.path} would be a normal image, but lies in a folder called {defect}. Give the folder "
                "of the normal images alone, or a folder whose own folders are the classes, and name the normal ones "
                "with --normal"
            )


def _trees_with_splits(folders: Collection[Parts]) -> set[Parts]:
    """Folders that have images in both splits, or class folders in one of them."""
    splits: dict[Parts, set[str]] = defaultdict(set)
    trees: set[Parts] = set()
    for parts in folders:
        depth = next((i for i, part in enumerate(parts) if i and part.lower() in _SPLITS), None)
        if depth is not None:
            splits[parts[:depth]].add(parts[depth].lower())
            if len(parts) > depth + 1:
                trees.add(parts[:depth])
    return trees | {tree for tree, found in splits.items() if found == _SPLITS}


def _trees_of_classes(folders: Collection[Parts]) -> set[Parts]:
    """Folders below the root that have a folder called good, ok or normal, and others beside it."""
    children: dict[Parts, set[str]] = defaultdict(set)
    for parts in folders:
        for depth in range(1, len(parts)):
            children[parts[:depth]].add(parts[depth])
    return {tree for tree, names in children.items() if len(names) > 1 and any(map(is_normal_word, names))}
