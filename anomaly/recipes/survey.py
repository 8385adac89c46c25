"""What a recipe follows from: the number of images, the size and colour of a few, the range of them all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import prod

import numpy as np

from anomaly.config import PreprocessConfig, Resize
from anomaly.counted import Size, counted, size_text
from anomaly.data import Limits, Sample, open_readable, range_for
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.data.decoding.ranges import FULL_RANGE
from anomaly.recipes.value_range import FewBeyond, few_beyond, peaks_of
from anomaly.sizes import is_stretched

NUM_LOOKED_AT = 16
NUM_FOR_SIZES = 4  # more, where colour needs no looking for: large pictures take time to decode
_LEAST_TOLD = 1.5  # pixels that become one; below it there is no warning


@dataclass(frozen=True)
class Survey:
    """Medians of the heights and widths of the first few, in pixels, and whether one of those looked at has colour.

    `smallest` and `largest` are the height and width of those with the shortest and the longest side of all that were
    looked at; None where all are of one size.
    `num_wide` images have 16 bits, and their values need `value_range` of these; without such images it is 16.
    `beyond` are a few that decide this range. `sizes` are all that were looked at.
    """

    num_images: int
    height: int
    width: int
    has_colour: bool
    num_wide: int = 0
    value_range: int = FULL_RANGE
    smallest: Size | None = None
    largest: Size | None = None
    beyond: FewBeyond | None = None
    sizes: frozenset[Size] = field(default=frozenset(), compare=False)

    @property
    def long_side(self) -> int:
        """The larger of height and width, in pixels."""
        return max(self.height, self.width)

    def __str__(self) -> str:
        colour = "colour" if self.has_colour else "grey"
        sizes = (self.smallest, self.largest) if self.smallest and self.largest else ((self.height, self.width),)
        return (
            f"{counted(self.num_images, f'{colour} image')} of {' to '.join(size_text(*size) for size in sizes)} pixels"
        )


def survey(samples: Sequence[Sample], *, limits: Limits = DEFAULT_LIMITS) -> Survey:
    """The first that can be read decide; those that cannot are counted later. Of none that can, it says 32 × 32.

    Where they are grey, as many more, from all parts of the list, are looked at for colour: folders of old grey and new
    colour pictures are not rare, and a grey model would lose the colour. Else a few more are, for other sizes. The
    range is that of all: pictures of 16 bits are decoded for it, others are told by their first bytes.
    """
    peaks = peaks_of(samples, limits)
    value_range = range_for(max(peak for _, peak in peaks)) if peaks else FULL_RANGE
    shapes = list(islice(_shapes(samples, limits, value_range), NUM_LOOKED_AT))
    if not shapes:
        return Survey(len(samples), 32, 32, has_colour=False)
    heights, widths, _ = zip(*shapes, strict=True)
    height, width = int(np.median(heights)), int(np.median(widths))
    more = NUM_FOR_SIZES if any(is_coloured for *_, is_coloured in shapes) else NUM_LOOKED_AT
    shapes += _shapes(_spread(samples, more), limits, value_range)
    has_colour = any(is_coloured for *_, is_coloured in shapes)
    sizes = sorted(((tall, wide) for tall, wide, _ in shapes), key=lambda size: (max(size), prod(size)))
    smallest, largest = (sizes[0], sizes[-1]) if len(set(sizes)) > 1 else (None, None)
    return Survey(
        num_images=len(samples),
        height=height,
        width=width,
        has_colour=has_colour,
        num_wide=len(peaks),
        value_range=value_range,
        smallest=smallest,
        largest=largest,
        beyond=few_beyond(peaks),
        sizes=frozenset(sizes),
    )


def range_note(found: Survey, preprocess: PreprocessConfig) -> str | None:
    """How pictures of 16 bits are read; None where there are none, or all of them are and use their 16 bits."""
    if not found.num_wide or (found.num_wide == found.num_images and preprocess.range == FULL_RANGE):
        return None
    white = (1 << preprocess.range) - 1
    note = f"{found.num_wide:,} of {found.num_images:,} images have 16 bits: their values are read from 0 to {white:,}"
    if found.num_wide < found.num_images:
        note += ", and those of the others by what their files say"
    return f"{note}. A picture with greater values cannot be scored by this model (preprocess.range={preprocess.range})"


def beyond_note(found: Survey, preprocess: PreprocessConfig) -> str | None:
    """That a few pictures decide the range of all; None where they do not, or where another range was given."""
    return str(found.beyond) if found.beyond and preprocess.range == found.value_range else None


def scale_note(found: Survey, preprocess: PreprocessConfig) -> str | None:
    """What is lost by scaling, and what to do; None where almost nothing is."""
    if preprocess.resize is Resize.WHOLE:
        return _whole_note(found, preprocess)
    size, original = preprocess.size, found.largest or (found.height, found.width)
    across = min(original) if preprocess.resize is Resize.CROP else max(original)
    factor = across / size
    if factor < _LEAST_TOLD:
        return None
    larger = "a larger --size (at most 256), or " if size < 256 else ""
    at_most = "up to " if found.largest else ""
    return (
        f"images of {at_most}{size_text(*original)} pixels are scaled down to {size} × {size}: about {factor:.1f} "
        f"pixels become one, and a scratch 10 pixels wide becomes {_pixels(10 / factor)}. Smaller defects are lost. If "
        f"they matter, give {larger}pictures that show the important region only"
    )


def stretched_region_note(found: Survey, preprocess: PreprocessConfig) -> str | None:
    """That the region is stretched over pictures of other shapes than its own; None where none is seen."""
    if preprocess.region is None:
        return None
    others = sorted(size for size in found.sizes if is_stretched(preprocess.region, size))
    if not others:
        return None
    return (
        f"the region has the shape of the first picture, and others have other shapes, such as {size_text(*others[0])} "
        "pixels: it is stretched over them, so there it may leave out what matters. Give pictures of one shape, or cut "
        "them to one"
    )


def sides(preprocess: PreprocessConfig) -> str:
    """What images are scaled to, in words."""
    if preprocess.resize is not Resize.WHOLE:
        return f"{preprocess.size} × {preprocess.size} pixels"
    return "their own resolution" if preprocess.scale == 1 else f"{preprocess.scale:g} of their own resolution"


def _whole_note(found: Survey, preprocess: PreprocessConfig) -> str | None:
    """The same where pictures keep their shapes."""
    if preprocess.scale == "auto" or preprocess.scale == 1:
        return None
    factor = 1 / preprocess.scale
    return (
        f"{found} are scaled by {preprocess.scale:g}, because so many take long: a scratch 10 pixels wide becomes "
        f"{_pixels(10 / factor)}. Give fewer images, or --set preprocess.scale=1, which takes longer"
    )


def _pixels(width: float) -> str:
    if 0.4 < width < 0.6:
        return "half a pixel"
    return "about 1 pixel" if 0.9 < width < 1.1 else f"{width:.1f} pixels"


def _spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Beyond the first few, from all parts of the list, the last one among them."""
    later = samples[NUM_LOOKED_AT:]
    num = min(len(later), most)
    return [later[row] for row in np.linspace(0, len(later) - 1, num).astype(int)] if num else []


def _shapes(samples: Sequence[Sample], limits: Limits, value_range: int) -> Iterator[tuple[int, int, bool]]:
    """Height, width, and whether there is any colour, of those that can be read."""
    for _, picture in open_readable(samples, limits=limits, value_range=value_range):
        image = np.array(picture)
        yield image.shape[0], image.shape[1], image.ndim == 3 and bool((image != image[:, :, :1]).any())
