"""Finding images in folders, and the masks among them, which are no images."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from anomaly.data.files.left_out import LeftOut
from anomaly.data.files.listing import list_images
from anomaly.data.masks.finding import MaskFiles, find_masks


@dataclass(frozen=True)
class Found:
    """What lies under a folder: images, masks that belong to images, and what is left out; each sorted by path."""

    images: list[Path]
    masks: MaskFiles
    left_out: list[LeftOut]


def find_images(folder: Path, *, classes: Collection[str] = ()) -> Found:
    """Everything under `folder` that is an image by its suffix, and what else there is.

    `classes` are folders that the user has named as classes: they hold pictures, whatever they are called.
    """
    images, left_out = list_images(folder)
    masks = find_masks(images, folder, classes)
    return Found([path for path in images if path not in masks] if len(masks) else images, masks, left_out)
