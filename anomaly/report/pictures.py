"""Example images as a report shows them: the image, its reconstruction, the heatmap over it, the defect's outline.

Where an image is called anomalous, the strongest place of its heatmap is boxed. Where the model has a region, its
outline is on the image and on the heatmap, too.

All are drawn with the longer side THUMBNAIL_SIDE pixels long: small images get larger with sharp pixels, so that what
the model saw can be counted, and large ones get smaller with smooth ones. Pictures of which one side is more than
LONG times the other, such as line scans, are drawn longer, and have a shape that a page arranges them by.
"""

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from anomaly.data import png_bytes
from anomaly.evaluation.results import Example
from anomaly.report.heat import Rgb, fitted, legend_bar, overlay
from anomaly.report.places import draw_place

THUMBNAIL_SIDE = 192
LONG = 4
LONGEST_SIDE = 1152  # of a long picture
OUTLINE_COLOUR = (0, 190, 255)
REGION_COLOUR = (80, 220, 100)
OUTLINE_WIDTH = 2
LEGEND_SIZE = (160, 12)


@dataclass(frozen=True)
class ExamplePictures:
    """The pictures of one example, as data URIs; no reconstruction where there is no G.

    `shape` is "wide" or "tall" for long pictures, else "".
    """

    image: str
    reconstruction: str | None
    heatmap: str
    mask: str | None
    shape: str


def draw_example(example: Example, *, is_alarm: bool) -> ExamplePictures:
    """Draw one example, with the outline of the defect where a mask marks one."""
    height, width = example.image.shape[:2]
    image = thumbnail(example.image, longer_side(height, width, THUMBNAIL_SIDE))
    size = (image.shape[1], image.shape[0])
    shown, heated = image, overlay(image, fitted(example.heatmap, image.shape[0], image.shape[1]))
    if example.region is not None:
        region = _resize_mask(example.region, size)
        shown, heated = (outline(each, region, REGION_COLOUR) for each in (shown, heated))
    if is_alarm and example.strongest:
        heated = draw_place(heated, example.strongest, scale=size[0] / example.heatmap.shape[1])
    mask = example.mask if example.mask is not None and example.mask.any() else None
    return ExamplePictures(
        image=_image_uri(shown),
        reconstruction=None if example.reconstruction is None else _image_uri(thumbnail(example.reconstruction)),
        heatmap=_image_uri(heated),
        mask=None if mask is None else _image_uri(outline(image, _resize_mask(mask, size))),
        shape="wide" if width > LONG * height else "tall" if height > LONG * width else "",
    )


def legend_uri() -> str:
    """The bar of a heatmap's legend, as a data URI."""
    return _image_uri(legend_bar(*LEGEND_SIZE))


def longer_side(height: int, width: int, ordinary: int) -> int:
    """How long a picture is drawn where most have so many pixels; its shorter side has a LONG-th of that at least."""
    ratio = max(height, width) / min(height, width)
    return min(LONGEST_SIDE, max(ordinary, round(ordinary * ratio / LONG)))


def thumbnail(image: NDArray[np.uint8], longer: int = THUMBNAIL_SIDE) -> Rgb:
    """(h, w) or (h, w, 3) of any size to (h', w', 3) with a longer side of so many pixels."""
    height, width = image.shape[:2]
    scale = longer / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    smooth = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).convert("RGB").resize(size, smooth))


def outline(image: Rgb, mask: NDArray[np.bool_], colour: tuple[int, int, int] = OUTLINE_COLOUR) -> Rgb:
    """The outline of a mask on an image of the same size, just outside of what it marks so that it hides none of it."""
    ring = ndimage.binary_dilation(mask, iterations=OUTLINE_WIDTH) & ~mask
    outlined = image.copy()
    outlined[ring] = colour
    return outlined


def data_uri(png: bytes) -> str:
    """A PNG file as a URI, so that a page needs no other file."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _image_uri(image: Rgb) -> str:
    return data_uri(png_bytes(Image.fromarray(image), optimize=True))


def _resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask at another size; a cell that a defect touches counts, lest a hair crack vanish."""
    resized = Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BOX)
    return np.asarray(resized) > 0
