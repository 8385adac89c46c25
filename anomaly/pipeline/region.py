"""`anomaly region`, which proposes a region of interest, and `anomaly train --region`, which keeps one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.bundle import check_outside_versions
from anomaly.config.region import Inside
from anomaly.counted import counted
from anomaly.data import Limits, Sample, describe, open_dataset, open_readable, png_bytes
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.data.regions.proposal import MIN_PICTURES, SIDE, num_pieces, propose
from anomaly.data.regions.reading import region_text
from anomaly.errors import DataError, UsageError
from anomaly.files import check_replaceable, storing, write_atomically
from anomaly.recipes import Sections, merged, survey

NUM_PICTURES = 48
"""So many normals, from all parts of DATA, are looked at to propose a region."""

_DARKENED = 0.3


@dataclass(frozen=True)
class RegionSummary:
    """The mask, the picture that shows it, and how many normals it follows from; the share inside, and its pieces."""

    mask: Path
    overlay: Path
    num_pictures: int
    share: float
    num_pieces: int

    def sentences(self) -> list[str]:
        """What follows from the proposal, and what to look at."""
        said = [
            f"it follows from {counted(self.num_pictures, 'image')}; look at {self.overlay}: a defect where it is dark "
            "cannot be found"
        ]
        if self.num_pieces > 1:
            said.append(
                f"it is in {self.num_pieces} pieces: where the pictures show one part, what lies between them is "
                "probably a plain surface of it; correct the mask by hand then"
            )
        return said


def with_region(sections: Sections, path: Path | None, samples: Sequence[Sample], limits: Limits) -> Sections:
    """The fields of a recipe and, on top, the region in a file; it must have the first picture's aspect ratio.

    Raises:
        UsageError: the file has no region, or the fields set one, too.
    """
    if path is None:
        return sections
    if "region" in sections.get("preprocess", {}):
        raise UsageError("preprocess.region is set twice, by --set and by --region; leave one of them away")
    size = next(((first.height, first.width) for _, first in open_readable(samples, limits=limits)), None)
    return merged(sections, {"preprocess": {"region": region_text(path, size, limits=limits)}})


def propose_region(
    data: str,
    out: Path,
    *,
    normal: Sequence[str] = (),
    max_pixels: int = DEFAULT_LIMITS.max_pixels,
    on_data: Callable[[Sequence[str]], None] = lambda sentences: None,
) -> RegionSummary:
    """Write the mask of a region that follows from the normals of `data` (see `regions.proposal`).

    Beside it, as NAME_overlay.png, goes one of the normals with the outside darkened. A mask may have been corrected by
    hand, so no other file than what would be written is replaced.

    Raises:
        DataError: the data cannot be used, or no region follows from them.
        UsageError: `out` is no PNG, lies within the data or a version of a model, or is there and differs.
        StorageError: `out` cannot be written.
    """
    _check_out(out, data)
    dataset = open_dataset(data, normal=normal)
    on_data(describe(dataset, "region"))
    limits = Limits.for_pixels(max_pixels)
    samples = dataset.train_normals()
    rows = np.unique(np.linspace(0, len(samples) - 1, NUM_PICTURES).astype(int))
    drawn = [samples[row] for row in rows]
    found = survey(drawn, limits=limits)
    if found.beyond is not None:
        on_data([str(found.beyond)])

    def readable() -> Iterator[Image.Image]:
        return (picture for _, picture in open_readable(drawn, limits=limits, value_range=found.value_range))

    pictures = _shrunk(readable())
    if len(pictures) < MIN_PICTURES:
        raise DataError(
            f"{data}: {counted(len(pictures), 'normal picture')} can be read, and what they have in common shows in "
            f"at least {MIN_PICTURES}: give more, or draw the region by hand"
        )
    inside, share = propose(pictures)
    if inside is None:
        raise DataError(f"{data}: no region is proposed, because {_why_not(share)}")
    first = next(readable())
    overlay = out.with_name(f"{out.stem}_overlay.png")
    mask = Image.fromarray(inside).resize(first.size, Image.Resampling.NEAREST)
    contents = {out: png_bytes(mask.convert("L")), overlay: png_bytes(_darkened(first, np.asarray(mask)))}
    for path, content in contents.items():
        check_replaceable(path, partial(_holds, content), "what would be written")
    with storing("the region", out.parent, instead="give another --out"):
        out.parent.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            write_atomically(path, content)
    return RegionSummary(out, overlay, len(pictures), share, num_pieces(inside))


def _holds(content: bytes, path: Path) -> bool:
    return path.read_bytes() == content


def _check_out(out: Path, data: str) -> None:
    check_outside_versions(out)
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out}: a region is written as a mask; give a file that ends in .png")
    if Path(data).is_dir() and Path(data).resolve() in out.resolve().parents:
        raise UsageError(f"--out {out}: lies within DATA, where it would be taken for a picture; choose another folder")


def _why_not(share: float) -> str:
    if share:
        return f"what the normals have in common takes {share:.0%} of the picture; train on whole pictures"
    return "the normals have no structure in common, as textures have none; train on whole pictures, or draw a region"


def _shrunk(pictures: Iterator[Image.Image]) -> NDArray[np.float32]:
    """Grey (n, h, w), stretched to the shape of the first, shrunk to sides of at most SIDE."""
    shrunk: list[NDArray[np.float32]] = []
    for picture in pictures:
        if not shrunk:
            scale = min(1.0, SIDE / max(picture.size))
            size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        shrunk.append(np.asarray(picture.convert("L").resize(size, Image.Resampling.BILINEAR), np.float32))
    return np.stack(shrunk) if shrunk else np.empty((0, 1, 1), np.float32)


def _darkened(picture: Image.Image, inside: Inside) -> Image.Image:
    return Image.composite(picture, picture.point(lambda value: value * _DARKENED), Image.fromarray(inside))
