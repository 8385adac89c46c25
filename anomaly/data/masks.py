"""Masks: which file belongs to which image, and what it says of it.

A mask of the image NAME.jpg is called, in capitals or not, with any suffix of an image:

    NAME   NAME.jpg                                     the image's own name
    NAME_mask   NAME-gt   NAME.label   mask_NAME …      with one of the words of `AFFIXES` behind or before it
    NAME_mask_0   NAME_mask1 …                          several, which are united
    NAME/000   NAME/001 …                               a folder of an image's name: all in it, united

Where images lie in folders below their class, masks may lie in the same folders.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from anomaly.data.files import find_images
from anomaly.data.mask_coding import Mask, looks_inverted, read_mask
from anomaly.errors import DataError, ImageError

AFFIXES = ("mask", "masks", "gt", "label", "labels", "seg", "segmentation", "annotation", "groundtruth", "ground_truth")
"""Words that make a file's name a mask's, before or behind the image's name, set off by one of _ - . or a space."""

PATTERNS = "NAME, NAME_mask, NAME_gt, NAME_label, NAME-mask, mask_NAME … (any image suffix), or a folder NAME"

_WORDS = "|".join(AFFIXES)
_BEHIND = re.compile(rf"(?P<name>.+)[_\-. ](?P<word>{_WORDS})(?P<number>[_\-. ]?\d+)?", re.IGNORECASE)
_BEFORE = re.compile(rf"(?:{_WORDS})[_\-. ](?P<name>.+)", re.IGNORECASE)
_MAX_NAMED = 5

__all__ = ["AFFIXES", "Mask", "is_mask_name", "looks_inverted", "match_masks", "open_masks", "unused_masks"]


def is_mask_name(name: str, stem: str) -> bool:
    """Whether a file called `name` is by its name the mask of an image with this stem, and not the image itself.

    `is_mask_name("part0_label.bmp", "Part0")` is true; `is_mask_name("part0.png", "part0")` is false: in another folder
    it may be a mask, beside the image it is another image.
    """
    return stem.casefold() in {base.casefold() for base in _bases(Path(name).stem)[1:]}


def match_masks(images: Sequence[Path], folder: Path) -> dict[Path, tuple[Path, ...]]:
    """The mask files of each image that has any, found in `folder` and below; {} where there is no such folder.

    Raises:
        DataError: a file could be the mask of two images, or an image has two files that are not parts of one mask.
    """
    if not images or not folder.is_dir():
        return {}
    owners = _Owners(images)
    found: defaultdict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in find_images(folder)[0]:
        if (owner := owners.of(path.relative_to(folder))) is not None:
            image, pattern = owner
            found[image][pattern].append(path)
    for image, by_pattern in found.items():
        if len(by_pattern) > 1:
            named = ", ".join(str(paths[0]) for paths in by_pattern.values())
            raise DataError(f"{image}: several files can be its mask: {named}; keep one of them")
    return {image: tuple(path for paths in found[image].values() for path in paths) for image in images if found[image]}


def unused_masks(folder: Path, used: Iterable[Path]) -> list[Path]:
    """The image files in `folder` that are nobody's mask.

    Raises:
        DataError: there are such files, and not one was used: then their names are not understood.
    """
    taken = set(used)
    found = find_images(folder)[0]
    unused = [path for path in found if path not in taken]
    if found and len(unused) == len(found):
        named = ", ".join(str(path.relative_to(folder)) for path in unused[:_MAX_NAMED])
        more = f" and {len(unused) - _MAX_NAMED} more" if len(unused) > _MAX_NAMED else ""
        raise DataError(
            f"{folder}: none of its {len(found)} files belongs to an image by its name; found {named}{more}; expected, "
            f"in a folder called as the image's, {PATTERNS}: rename them, or take the folder away"
        )
    return unused


def open_masks(paths: Sequence[Path], size: tuple[int, int], *, is_normal: bool) -> Mask:
    """The united masks of one image of this height and width: bool (h, w), True on the defect.

    Raises:
        ImageError: a mask cannot be read, has another size than its image, marks no defect of an anomalous image, or
            marks one on a normal image. The message names the file.
    """
    mask = np.zeros(size, np.bool_)
    for path in paths:
        part = read_mask(path)
        if part.shape != size:
            raise ImageError(
                f"{path}: this mask is {part.shape[1]} × {part.shape[0]} pixels, and its image is {size[1]} × "
                f"{size[0]}; a mask is not scaled, because where the defect lies would be a guess: export it at the "
                "image's own size"
            )
        if is_normal and part.any():
            raise ImageError(
                f"{path}: this mask marks {int(part.sum())} pixels as a defect, but its image is labelled normal; "
                "correct the label or the mask"
            )
        mask |= part
    if not is_normal and not mask.any():
        named = ", ".join(map(str, paths))
        raise ImageError(f"{named}: marks no pixel as a defect, but its image is labelled anomalous; draw the defect")
    return mask


class _Owners:
    """Images by what their masks may be called."""

    def __init__(self, images: Sequence[Path]) -> None:
        self._root = Path(os.path.commonpath([image.parent for image in images]))
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        for image in images:
            for name in (image.stem, image.name):
                self._by_name[name.casefold()].append(image)

    def of(self, mask: Path) -> tuple[Path, str] | None:
        """The image of the mask at this path below its folder, and what its parts have in common; None: nobody's."""
        for name in _bases(mask.stem):
            if image := self._only(self._named(name, mask.parent), name, mask):
                return image, _numbered(mask.stem) or str(mask)
        for parent in list(mask.parents)[:-1]:  # a folder a picture
            for name in _bases(parent.name):
                if image := self._only(self._named(name, parent.parent), name, mask):
                    return image, f"in {parent}"
        return None

    def _named(self, name: str, folder: Path) -> list[Path]:
        """Images of this name: in the same folder below the root, else in a folder that ends so."""
        images = self._by_name.get(name.casefold(), [])
        same = [image for image in images if image.parent == self._root / folder]
        return same or [image for image in images if (image.parent / "_").match(str(folder / "_"))]

    def _only(self, images: list[Path], name: str, mask: Path) -> Path | None:
        if len(images) > 1:
            images = [image for image in images if name in (image.stem, image.name)] or images
        if len(images) > 1:
            named = ", ".join(map(str, images[:_MAX_NAMED]))
            raise DataError(
                f"the mask {mask} can belong to {len(images)} images: {named}; rename the images, or call the mask by "
                "the image's whole name with its suffix"
            )
        return images[0] if images else None


def _bases(stem: str) -> list[str]:
    """What the image may be called whose mask has this stem: first the stem itself."""
    matches = [pattern.fullmatch(stem) for pattern in (_BEHIND, _BEFORE)]
    return [stem, *(match["name"] for match in matches if match)]


def _numbered(stem: str) -> str | None:
    """The word by which several masks of one image are called, which a number tells apart; None without a number."""
    match = _BEHIND.fullmatch(stem)
    return match["word"].casefold() if match and match["number"] else None
