"""Which image files are masks of others: by where they lie, by what they are called, and by how they look.

    a folder of masks     ground_truth/<kind>/000.png, <kind>/masks/000.png       its name, and for most names the look
    beside the picture    Part0.jpg and Part0_label.bmp, 000.jpg and 000.png      the name, and the look

The look is that of most of the files of that kind in a folder, of which a few are opened: so one odd mask stays a mask,
and a class of pictures that happens to be called `mask` or `label` stays a class.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from anomaly.data.ahead import map_ahead
from anomaly.data.decoding.decode import Pixels, decode, to_array
from anomaly.data.masks.coding import read_mask
from anomaly.data.masks.matching import match_among, match_masks
from anomaly.data.masks.names import AFFIXES, image_names
from anomaly.errors import DataError, ImageError

_SURE_FOLDERS = frozenset(["ground_truth", "groundtruth", "ground_truths", "groundtruths"])
_FOLDERS = _SURE_FOLDERS | {*AFFIXES, "gts", "annotations", "segmentations", "anno", "mask_images", "defect_masks"}
_IMAGE_FOLDERS = frozenset(["images", "image", "imgs", "img"])
_LOSSY = frozenset([".jpg", ".jpeg", ".jpe", ".jfif"])
_NUM_LOOKED_AT = 16
_MAX_PIXELS = 65_536  # of each
_PIXELS_A_VALUE, _MAX_VALUES = 16, 32
Content = Callable[[Path], Path | bytes]
"""What to read of a file: its path, or its bytes where it lies in no folder of this machine. Raises ImageError."""

_ALIKE = 16.0  # mean difference of two greys, of 255: a mask differs from its picture by more


class MaskFiles:
    """The masks found under one folder. `in` tells whether a file is one of them."""

    def __init__(
        self,
        root: Path,
        in_folders: Mapping[Path, Path],
        beside: Mapping[Path, tuple[Path, ...]],
        nobodys: Collection[Path],
    ) -> None:
        self._root = root
        self._in_folders = in_folders
        self.beside = beside
        """The masks that lie beside their pictures, by picture."""
        self._all = {*in_folders, *nobodys, *(mask for masks in beside.values() for mask in masks)}

    def __contains__(self, path: object) -> bool:
        return path in self._all

    def __iter__(self) -> Iterator[Path]:
        return iter(sorted(self._all))

    def __len__(self) -> int:
        return len(self._all)

    @property
    def in_folders(self) -> list[Path]:
        """The masks that lie in folders of masks, sorted."""
        return sorted(self._in_folders)

    def of(self, pictures: Sequence[Path]) -> dict[Path, tuple[Path, ...]]:
        """The masks of each picture that has some.

        `test/cut/` has its masks in `test/cut/masks/`, `test/ground_truth/cut/`, `ground_truth/test/cut/` or, as in
        MVTec's layout, without its split in `ground_truth/cut/`; `images/` has them in `masks/` beside it.

        Raises:
            DataError: it cannot be told which mask belongs to which picture.
        """
        wanted = set(pictures)
        matched = {picture: masks for picture, masks in self.beside.items() if picture in wanted}
        folders = self._folders()
        by_folder: dict[Path, list[Path]] = defaultdict(list)
        for picture in pictures:
            by_folder[picture.parent].append(picture)
        for folder, inside in by_folder.items():
            key = _key(folder.relative_to(self._root).parts)
            keys = [key, key[:-1]] if key[-1:] and key[-1] in _IMAGE_FOLDERS else [key]
            keys += [each[1:] for each in keys if each[:1] == ("test",)]
            matched |= _only(
                folder, {masks: match_masks(inside, masks) for each in keys for masks in folders.get(each, ())}
            )
        return matched

    def _folders(self) -> dict[tuple[str, ...], list[Path]]:
        """Folders of masks by their path without the name that says so: `ground_truth/cut` is one of `cut`.

        Where each picture has a folder of its masks, they lie one or more levels below.
        """
        folders: dict[tuple[str, ...], dict[Path, None]] = defaultdict(dict)
        for path, top in self._in_folders.items():
            above = top.relative_to(self._root).parts[:-1]
            below = path.relative_to(top).parts[:-1]
            for depth in range(len(below) + 1):
                folders[_key((*above, *below[:depth]))][top.joinpath(*below[:depth])] = None
        return {key: list(found) for key, found in folders.items()}


def find_masks(images: Sequence[Path], root: Path, classes: Collection[str]) -> MaskFiles:
    """Find which images under `root` are masks. Folders that `classes` names are not folders of masks.

    Raises:
        DataError: it cannot be told which mask beside pictures belongs to which.
    """
    tops: dict[Path, list[Path]] = defaultdict(list)
    others: dict[str, list[Path]] = defaultdict(list)
    top_of: dict[str, Path | None] = {}
    for image in images:
        folder = _folder_of(image)
        if folder not in top_of:
            top_of[folder] = _mask_folder(image, root, classes)
        if (top := top_of[folder]) is None:
            others[folder].append(image)
        else:
            tops[top].append(image)
    in_folders: dict[Path, Path] = {}
    for top, inside in tops.items():
        if _word(top.name) in _SURE_FOLDERS or _look_like_masks(inside):
            in_folders |= dict.fromkeys(inside, top)
        else:
            for image in inside:
                others[_folder_of(image)].append(image)
    beside: dict[Path, tuple[Path, ...]] = {}
    nobodys: set[Path] = set()
    for siblings in others.values():
        masks = _masks_among(siblings)
        owned = match_among([path for path in siblings if path not in masks], masks) if masks else {}
        beside |= owned
        nobodys |= masks.difference(*owned.values())
    return MaskFiles(root, in_folders, beside, nobodys)


def masks_in_folder(files: Sequence[Path], above: str, content: Content) -> set[Path]:
    """Which files of one folder are masks, by the rules of `find_masks`, however the files are read.

    `above` is the name of the folder of masks that they lie in (see `mask_folder_among`), or "".
    """
    if above and files and (_word(above) in _SURE_FOLDERS or _look_like_masks(files, content)):
        return set(files)
    return _masks_among(files, content)


def mask_folder_among(parts: Sequence[str]) -> str:
    """The first of these names of folders that is a name of folders of masks, "" where there is none."""
    return next((part for part in parts if _word(part) in _FOLDERS), "")


def marking(masks: Iterable[Path]) -> set[Path]:
    """The masks that mark a defect, and those of which it cannot be told; read in threads."""
    each = list(masks)
    return {mask for mask, marks in zip(each, map_ahead(_marks, each), strict=True) if marks}


def _marks(mask: Path) -> bool:
    try:
        return bool(read_mask(mask).any())
    except ImageError:
        return True


def _only(folder: Path, found: Mapping[Path, Mapping[Path, tuple[Path, ...]]]) -> Mapping[Path, tuple[Path, ...]]:
    """What the one folder of masks gives that gives anything."""
    giving = {masks: matched for masks, matched in found.items() if matched}
    if len(giving) > 1:
        named = " and ".join(str(masks) for masks in list(giving)[:2])
        raise DataError(f"{folder}: masks of its images lie in two folders, {named}; keep one of them")
    return next(iter(giving.values()), {})


def _key(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.lower() for part in parts)


def _mask_folder(image: Path, root: Path, classes: Collection[str]) -> Path | None:
    """The highest folder above an image, below `root`, that is called as folders of masks are."""
    parts = image.relative_to(root).parts[:-1]
    for depth, part in enumerate(parts, start=1):
        if _word(part) in _FOLDERS and part not in classes:
            return root.joinpath(*parts[:depth])
    return None


def _folder_of(image: Path) -> str:
    """As a text, because to make and compare paths takes as long as to read a small image."""
    return os.path.dirname(image)  # noqa: PTH120


def _word(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")


def _itself(path: Path) -> Path:
    return path


def _masks_among(siblings: Sequence[Path], content: Content = _itself) -> set[Path]:
    """Of files in one folder, those that are masks of others.

    By a word in the name, if most of those that are called so after a picture look so; then a file that is called so
    after no picture is one too, if it looks so. Or by the picture's own name: lossless beside lossy.
    """
    stem_of = [(path, path.stem) for path in siblings]
    stems = {stem.casefold() for _, stem in stem_of}
    called = {path: names for path, stem in stem_of if (names := image_names(stem)[1:])}
    after_pictures = [path for path, names in called.items() if any(name.casefold() in stems for name in names)]
    masks: set[Path] = set()
    if after_pictures and _look_like_masks(after_pictures, content):
        others = (path for path in called if path not in after_pictures)
        masks = {*after_pictures, *(path for path in others if _looks_like_mask(path, content))}
    pictures = [(path, stem.casefold()) for path, stem in stem_of if not masks or path not in masks]
    is_lossy = [path.suffix.lower() in _LOSSY for path, _ in pictures]
    lossy = {stem: path for (path, stem), yes in zip(pictures, is_lossy, strict=True) if yes}
    twins = [path for (path, stem), yes in zip(pictures, is_lossy, strict=True) if not yes and stem in lossy]
    if twins and _look_like_masks(twins, content) and not _is_alike(twins[0], lossy[twins[0].stem.casefold()], content):
        return masks | set(twins)
    return masks | {
        path
        for path in twins
        if _looks_like_mask(path, content) and not _is_alike(path, lossy[path.stem.casefold()], content)
    }


def _look_like_masks(paths: Sequence[Path], content: Content = _itself) -> bool:
    """Whether most of some from all parts of the list look so; where none can be read the name is enough."""
    rows = np.unique(np.linspace(0, len(paths) - 1, _NUM_LOOKED_AT).astype(int))
    looks = [look for row in rows if (look := _looks_like_mask(paths[row], content)) is not None]
    return 2 * sum(looks) > len(looks) or not looks


def _looks_like_mask(path: Path, content: Content) -> bool | None:
    """Whether a file has few values, or is read as a mask; None if it cannot be read at all."""
    try:
        source = content(path)
        pixels = to_array(decode(source, name=str(path)))
    except ImageError:
        return None
    if _num_values(pixels) <= min(_MAX_VALUES, max(2, pixels.shape[0] * pixels.shape[1] // _PIXELS_A_VALUE)):
        return True
    try:
        read_mask(source, name=str(path))
    except ImageError:
        return False
    return True


def _num_values(pixels: Pixels) -> int:
    colours = pixels.reshape(pixels.shape[0] * pixels.shape[1], -1)
    colours = colours[:: max(1, len(colours) // _MAX_PIXELS)]
    return len(np.unique(colours.astype(np.int64) @ (1 << np.arange(0, 8 * colours.shape[1], 8))))


def _is_alike(path: Path, other: Path, content: Content) -> bool:
    """Whether two files hold the same picture, saved in two formats."""
    try:
        first, second = (
            np.asarray(decode(content(each), name=str(each)).convert("L"), np.int16) for each in (path, other)
        )
    except ImageError:
        return False
    return first.shape == second.shape and bool(np.abs(first - second).mean() < _ALIKE)
