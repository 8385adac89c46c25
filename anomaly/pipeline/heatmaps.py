"""`anomaly score --heatmaps DIR`: the heatmaps of one run, and what of earlier runs lies beside them."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from anomaly.config import PreprocessConfig
from anomaly.counted import counted
from anomaly.data import (
    Limits,
    Picture,
    Source,
    decode,
    drawn_heatmaps,
    heatmap_name,
    mark,
    png_bytes,
    restore_map,
    to_array,
)
from anomaly.errors import ImageError, UsageError
from anomaly.files import storing, write_atomically
from anomaly.scoring import strongest_place

_MAX_STEM = 60  # characters of up to four bytes: with number and suffix within the 255 bytes of a file's name


@dataclass(frozen=True)
class Drawable:
    """An image to draw: its row's number from 0, its path, itself and what was read of it, and if it is anomalous."""

    number: int
    path: str
    source: Source | ImageError
    picture: Picture
    is_anomalous: bool


@dataclass
class HeatmapFolder:
    """The folder, which is there; how a bundle's images are read; and the heatmaps there that no row of this run names.

    Nothing is deleted: a heatmap of the same name is replaced, and every other one stays. Raises UsageError if a
    picture that is no heatmap has the name of one for `paths`.
    """

    folder: Path
    config: PreprocessConfig
    limits: Limits
    paths: InitVar[Sequence[str]]
    earlier: set[str] = field(init=False)

    def __post_init__(self, paths: Sequence[str]) -> None:
        self.earlier = drawn_heatmaps(self.folder)
        others = {path.name for path in self.folder.iterdir()} - self.earlier
        wanted = (_name(number, path) for number, path in enumerate(paths)) if others else ()
        if taken := next((name for name in wanted if name in others), None):
            raise UsageError(
                f"{self.folder / taken} exists and is no heatmap that anomaly has drawn, so it is not replaced: move "
                "it away, or choose another folder for --heatmaps"
            )

    def draw(self, image: Drawable, heat: NDArray[np.float32]) -> str | None:
        """Draw NUMBER_NAME.png, the image with its heatmap over it, the strongest place boxed if it is anomalous.

        `heat` is (side, side), or larger where the model does not scale. Returns the file's name; None for a file that
        went away since it was scored, or has another size by now, which has its row but no picture.

        Raises:
            StorageError: the folder cannot be written.
        """
        from anomaly.report.heat import overlay
        from anomaly.report.places import label_place

        try:
            original = self._original(image)
        except ImageError:
            return None
        if original.shape[:2] != (image.picture.height, image.picture.width):
            return None
        heatmap = restore_map(heat, self.config, image.picture.height, image.picture.width)
        drawn = overlay(_to_rgb(original), heatmap)
        if image.is_anomalous and (place := strongest_place(heatmap)):
            drawn = label_place(drawn, place)
        png = png_bytes(PIL.Image.fromarray(drawn))
        name = _name(image.number, image.path)
        with storing("heatmaps", self.folder, instead="choose another folder"):
            write_atomically(self.folder / name, mark(png))
        self.earlier.discard(name)
        return name

    def remarks(self) -> list[str]:
        """What earlier runs have left there, in a sentence; nothing where there is none."""
        if not self.earlier:
            return []
        number = counted(len(self.earlier), "heatmap of an earlier run lies", "heatmaps of earlier runs lie")
        return [
            f"{number} in {self.folder} too, such as {min(self.earlier)}; the column heatmap names those of this run"
        ]

    def _original(self, image: Drawable) -> NDArray[np.uint8]:
        source = image.source
        if isinstance(source, ImageError):
            raise source
        if isinstance(source, Path | bytes):
            return to_array(decode(source, name=image.path, limits=self.limits, value_range=self.config.range))
        return to_array(source)


def _name(number: int, path: str) -> str:
    return heatmap_name(number, Path(path).stem[:_MAX_STEM])


def _to_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image
