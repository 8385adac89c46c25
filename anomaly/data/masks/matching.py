"""Masks: which file belongs to which image, by the names in `mask_names`; and an image's masks, united.

Where images lie in folders below their class, masks may lie in the same folders.
"""

import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from anomaly.counted import Size, counted
from anomaly.data.decoding.limits import DEFAULT_LIMITS, Limits
from anomaly.data.files.listing import list_images
from anomaly.data.masks.coding import Mask, read_mask
from anomaly.data.masks.names import PATTERNS, image_names, numbered
from anomaly.errors import DataError, ImageError

_MAX_NAMED = 5


def match_masks(images: Sequence[Path], folder: Path) -> dict[Path, tuple[Path, ...]]:
    """The mask files of each image that has any, found in `folder` and below; {} where there is no such folder.

    Raises:
        DataError: a file could be the mask of two images, or an image has two files that are not parts of one mask.
    """
    return _matched(images, list_images(folder)[0], folder) if images and folder.is_dir() else {}


def match_among(images: Sequence[Path], masks: Collection[Path]) -> dict[Path, tuple[Path, ...]]:
    """Match masks that lie beside the images, all in one folder, as `match_masks` does. Raises DataError."""
    return _matched(images, sorted(masks), images[0].parent) if images else {}


def _matched(images: Sequence[Path], masks: Sequence[Path], folder: Path) -> dict[Path, tuple[Path, ...]]:
    owners = _Owners(images)
    found: defaultdict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in masks:
        if (owner := owners.of(path.relative_to(folder))) is not None:
            image, pattern = owner
            found[image][pattern].append(path)
    for image, by_pattern in found.items():
        if len(by_pattern) > 1:
            named = ", ".join(str(paths[0]) for paths in by_pattern.values())
            raise DataError(f"{image}: several files can be its mask: {named}; keep one of them")
    return {image: tuple(path for paths in found[image].values() for path in paths) for image in images if found[image]}


def check_some_used(masks: Sequence[Path], used: Collection[Path]) -> None:
    """Raises DataError if there are masks in folders of masks, and not one is used: their names are not understood."""
    if masks and not any(mask in used for mask in masks):
        whose = "the only mask does not belong" if len(masks) == 1 else f"none of the {len(masks):,} masks belongs"
        named = ", ".join(map(str, masks[:_MAX_NAMED]))
        more = f" and {len(masks) - _MAX_NAMED} more" if len(masks) > _MAX_NAMED else ""
        raise DataError(
            f"{whose} to an image by its name; found {named}{more}; expected, in a "
            f"folder called as the image's, {PATTERNS}: rename them, or take their folder away"
        )


def open_masks(paths: Sequence[Path], size: Size, *, is_normal: bool, limits: Limits = DEFAULT_LIMITS) -> Mask:
    """The united masks of one image of this height and width: bool (h, w), True on the defect.

    Raises:
        ImageError: a mask cannot be read, has another size than its image, marks no defect of an anomalous image, or
            marks one on a normal image. The message names the file.
    """
    mask = np.zeros(size, np.bool_)
    for path in paths:
        part = read_mask(path, limits=limits)
        if part.shape != size:
            raise ImageError(
                f"{path}: this mask is {part.shape[1]} × {part.shape[0]} pixels, and its image is {size[1]} × "
                f"{size[0]}; a mask is not scaled, because where the defect lies would be a guess: export it at the "
                "image's own size"
            )
        if is_normal and part.any():
            raise ImageError(
                f"{path}: this mask marks {counted(int(part.sum()), 'pixel')} as a defect, but its image is labelled "
                "normal; correct the label or the mask"
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
        for name in image_names(mask.stem):
            if image := self._only(self._named(name, mask.parent), name, mask):
                return image, numbered(mask.stem) or str(mask)
        for parent in list(mask.parents)[:-1]:  # a folder a picture
            for name in image_names(parent.name):
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
