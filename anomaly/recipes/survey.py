"""The number of images, and the size and colour of a few, from which a recipe is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from anomaly.config import PreprocessConfig, Resize
from anomaly.data import Sample, to_array
from anomaly.errors import ImageError

NUM_LOOKED_AT = 16
_LEAST_TOLD = 1.5  # pixels that become one; below it there is no warning


@dataclass(frozen=True)
class Survey:
    """Medians of the heights and widths of the first few, in pixels, and whether one of those looked at has colour."""

    num_images: int
    height: int
    width: int
    has_colour: bool

    @property
    def long_side(self) -> int:
        """Of the images, in pixels."""
        return max(self.height, self.width)

    def __str__(self) -> str:
        colour = "colour" if self.has_colour else "grey"
        return f"{self.num_images:,} {colour} images of {self.width:,} × {self.height:,} pixels"


def survey(samples: Sequence[Sample]) -> Survey:
    """The first that can be read decide; those that cannot are counted later. Of none that can, it says 32 × 32.

    Where the first are grey, as many more, from all parts of the list, are looked at for colour: folders of old grey
    and new colour pictures are not rare, and a grey model would lose the colour.
    """
    shapes = list(islice((shape for sample in samples if (shape := _look(sample)) is not None), NUM_LOOKED_AT))
    if not shapes:
        return Survey(len(samples), 32, 32, has_colour=False)
    heights, widths, colours = zip(*shapes, strict=True)
    has_colour = any(colours) or any(shape[2] for sample in _spread(samples) if (shape := _look(sample)) is not None)
    return Survey(len(samples), int(np.median(heights)), int(np.median(widths)), has_colour)


def scale_note(found: Survey, preprocess: PreprocessConfig) -> str | None:
    """What is lost by scaling, and what to do; None where almost nothing is."""
    size = preprocess.size
    across = min(found.height, found.width) if preprocess.resize is Resize.CROP else found.long_side
    factor = across / size
    if factor < _LEAST_TOLD:
        return None
    larger = "a larger --size (at most 256), or " if size < 256 else ""
    return (
        f"images of {found.width:,} × {found.height:,} pixels are scaled down to {size} × {size}: about {factor:.1f} "
        f"pixels become one, and a scratch 10 pixels wide becomes {_pixels(10 / factor)}. Smaller defects "
        f"are lost. If they matter, give {larger}pictures that show the important region only"
    )


def _pixels(width: float) -> str:
    if 0.4 < width < 0.6:
        return "half a pixel"
    return "about 1 pixel" if 0.9 < width < 1.1 else f"{width:.1f} pixels"


def _spread(samples: Sequence[Sample]) -> list[Sample]:
    """Beyond the first few, from all parts of the list, the last one among them."""
    later = samples[NUM_LOOKED_AT:]
    num = min(len(later), NUM_LOOKED_AT)
    return [later[row] for row in np.linspace(0, len(later) - 1, num).astype(int)] if num else []


def _look(sample: Sample) -> tuple[int, int, bool] | None:
    """Height, width, and whether there is any colour; None for an image that cannot be read."""
    try:
        image = to_array(sample.open())
    except ImageError:
        return None
    return image.shape[0], image.shape[1], image.ndim == 3 and bool((image != image[:, :, :1]).any())
