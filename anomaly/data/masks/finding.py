"""Which image files are masks of others: by where they lie, by what they are called, and by how they look.

    a folder of masks     ground_truth/<kind>/000.png, <kind>/masks/000.png       its name, and for most names the look
    beside the picture    Part0.jpg and Part0_label.bmp, 000.jpg and 000.png      the name, and the look

The look of a folder is that of a few of its files. A mask has few values, or is black and white but for its edges. So a
class of pictures that happens to be called `mask` or `label` stays a class.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from anomaly.data.decoding.decode import decode, to_array
from anomaly.data.masks.names import image_names
from anomaly.errors import ImageError

Matcher = Callable[[Sequence[Path], Path], Mapping[Path, tuple[Path, ...]]]

_SURE_FOLDERS = frozenset(["ground_truth", "groundtruth"])
_FOLDERS = _SURE_FOLDERS | {"gt", "mask", "masks", "label", "labels", "annotation", "annotations", "segmentation"}
_LOSSY = frozenset([".jpg", ".jpeg", ".jpe", ".jfif"])
_NUM_LOOKED_AT = 16
_MAX_PIXELS = 65_536  # of each
_PIXELS_A_VALUE, _MAX_VALUES = 16, 32
_BLACK, _WHITE, _SHARE_OF_BOTH = 24, 231, 0.9


class MaskFiles:
    """The masks found under one folder. `in` tells whether a file is one of them."""

    def __init__(self, root: Path, in_folders: dict[Path, Path], beside: dict[Path, Path]) -> None:
        self._root = root
        self._in_folders = in_folders
        self._beside = beside

    def __contains__(self, path: object) -> bool:
        return path in self._in_folders or path in self._beside

    def __iter__(self) -> Iterator[Path]:
        return iter(sorted([*self._in_folders, *self._beside]))

    def __len__(self) -> int:
        return len(self._in_folders) + len(self._beside)

    @property
    def in_folders(self) -> list[Path]:
        """The masks that lie in folders of masks, sorted."""
        return sorted(self._in_folders)

    @property
    def beside(self) -> dict[Path, tuple[Path, ...]]:
        """The masks that lie beside their pictures, by picture."""
        by_picture: dict[Path, tuple[Path, ...]] = {}
        for mask, picture in sorted(self._beside.items()):
            by_picture[picture] = (*by_picture.get(picture, ()), mask)
        return by_picture

    def of(self, pictures: Sequence[Path], match: Matcher) -> dict[Path, tuple[Path, ...]]:
        """The masks of each picture that has some; `match` finds those of pictures in one folder of masks, or none.

        `test/cut/` has its masks in `test/cut/masks/`, `test/ground_truth/cut/`, `ground_truth/test/cut/` or, as in
        MVTec's layout, without its split in `ground_truth/cut/`.
        """
        wanted = set(pictures)
        matched = {picture: masks for picture, masks in self.beside.items() if picture in wanted}
        folders = self._folders()
        by_folder: dict[Path, list[Path]] = defaultdict(list)
        for picture in pictures:
            by_folder[picture.parent].append(picture)
        for folder, inside in by_folder.items():
            key = _key(folder.relative_to(self._root).parts)
            keys = [key, key[1:]] if key[:1] == ("test",) else [key]
            candidates = (match(inside, masks) for each in keys for masks in folders.get(each, ()))
            matched |= next(filter(None, candidates), {})
        return matched

    def _folders(self) -> dict[tuple[str, ...], list[Path]]:
        """Folders of masks by their path without the name that says so: `ground_truth/cut` is one of `cut`.

        Those that have masks themselves come before those that have them one or more levels below, as where each
        picture has a folder of its masks.
        """
        folders: dict[tuple[str, ...], dict[Path, None]] = defaultdict(dict)
        for levels in (slice(-1, None), slice(None, -1)):
            for path, top in self._in_folders.items():
                above = top.relative_to(self._root).parts[:-1]
                below = path.relative_to(top).parts[:-1]
                for depth in range(len(below) + 1)[levels]:
                    folders[_key((*above, *below[:depth]))][top.joinpath(*below[:depth])] = None
        return {key: list(found) for key, found in folders.items()}


def find_masks(images: Sequence[Path], root: Path, classes: Collection[str]) -> MaskFiles:
    """Those of the images under `root` that are masks. Folders that `classes` names are not folders of masks."""
    tops: dict[Path, list[Path]] = defaultdict(list)
    others: dict[Path, list[Path]] = defaultdict(list)
    for image in images:
        top = _mask_folder(image, root, classes)
        if top is None:
            others[image.parent].append(image)
        else:
            tops[top].append(image)
    in_folders: dict[Path, Path] = {}
    for top, inside in tops.items():
        if _word(top.name) in _SURE_FOLDERS or _look_like_masks(inside):
            in_folders |= dict.fromkeys(inside, top)
        else:
            for image in inside:
                others[image.parent].append(image)
    beside: dict[Path, Path] = {}
    for siblings in others.values():
        beside |= _beside(siblings)
    return MaskFiles(root, in_folders, beside)


def is_blank(mask: Path) -> bool:
    """Whether a mask has one value everywhere, so that nothing is marked; one that cannot be read is not blank."""
    try:
        pixels = to_array(decode(mask, name=str(mask)))
    except ImageError:
        return False
    return bool((pixels == pixels[:1, :1]).all())


def _key(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.lower() for part in parts)


def _mask_folder(image: Path, root: Path, classes: Collection[str]) -> Path | None:
    """The highest folder above an image, below `root`, that is called as folders of masks are."""
    parts = image.relative_to(root).parts[:-1]
    for depth, part in enumerate(parts, start=1):
        if _word(part) in _FOLDERS and part not in classes:
            return root.joinpath(*parts[:depth])
    return None


def _word(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")


def _beside(siblings: Sequence[Path]) -> dict[Path, Path]:
    """Of files in one folder, those that are masks of another one by name and look: mask → picture."""
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in siblings:
        by_stem[path.stem.lower()].append(path)
    pairs: dict[Path, Path] = {}
    for path in siblings:
        base = next((name.lower() for name in image_names(path.stem)[1:] if name.lower() in by_stem), None)
        same = [other for other in by_stem[path.stem.lower()] if other.suffix.lower() in _LOSSY]
        if base is not None and _looks_like_mask(path, unreadable=True):
            pairs[path] = by_stem[base][0]
        elif same and path.suffix.lower() not in _LOSSY and _looks_like_mask(path, unreadable=False):
            pairs[path] = same[0]
    return pairs


def _look_like_masks(paths: Sequence[Path]) -> bool:
    """Whether some from all parts of the list look so; those that cannot be read say nothing."""
    rows = np.unique(np.linspace(0, len(paths) - 1, _NUM_LOOKED_AT).astype(int))
    return all(_looks_like_mask(paths[row], unreadable=True) for row in rows)


def _looks_like_mask(path: Path, *, unreadable: bool) -> bool:
    """`unreadable` is the answer for a file that cannot be read: whether its name is enough."""
    try:
        pixels = to_array(decode(path, name=str(path)))
    except ImageError:
        return unreadable
    colours = pixels.reshape(pixels.shape[0] * pixels.shape[1], -1)
    colours = colours[:: max(1, len(colours) // _MAX_PIXELS)]
    num_values = len(np.unique(colours.astype(np.int64) @ (1 << np.arange(0, 8 * colours.shape[1], 8))))
    if num_values <= min(_MAX_VALUES, max(2, len(colours) // _PIXELS_A_VALUE)):
        return True
    return bool(((colours <= _BLACK) | (colours >= _WHITE)).all(axis=1).mean() >= _SHARE_OF_BOTH)
