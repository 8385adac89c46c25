"""The mark of pictures that this program draws: they are never taken for pictures to learn from or to score.

The mark is a text chunk right after the header of a PNG file, so it stays with the file wherever it is moved. Source:
PNG (third edition), sections 5.3 "Chunk layout" and 11.3.3.2 "tEXt Textual data".
"""

import re
import zlib
from pathlib import Path

_TEXT = b"tEXtSoftware\0anomaly"
_CHUNK = (len(_TEXT) - 4).to_bytes(4) + _TEXT + zlib.crc32(_TEXT).to_bytes(4)
_HEADER_BYTES = 8 + 25  # the signature, and the chunk IHDR

DRAWINGS = frozenset(
    ["roc.png", "samples.png", "walk.png", "reconstructions.png", "heatmaps.png", "curves.png", "detectability.png"]
)
"""What evaluate and inspect draw, by name."""

_HEATMAP = re.compile(r"\d{6,}_.*\.png")


def mark(png: bytes) -> bytes:
    """Mark a PNG as drawn by this program."""
    return png[:_HEADER_BYTES] + _CHUNK + png[_HEADER_BYTES:]


def heatmap_name(number: int, stem: str) -> str:
    """What the heatmap of the image of this row and name is called."""
    return f"{number:06d}_{stem}.png"


def drawn_heatmaps(folder: Path) -> set[str]:
    """The names of the heatmaps that this program has drawn into a folder."""
    return {path.name for path in folder.iterdir() if _HEATMAP.fullmatch(path.name) and is_output(path)}


def is_output_name(name: str) -> bool:
    """Whether this program gives pictures such a name."""
    return name in DRAWINGS or _HEATMAP.fullmatch(name) is not None


def is_marked(png: bytes) -> bool:
    """Whether a file, or the beginning of one, has the mark of `mark`."""
    return png[_HEADER_BYTES : _HEADER_BYTES + len(_CHUNK)] == _CHUNK


def is_output(path: Path) -> bool:
    """Whether a file has the name and the mark of a picture that this program has drawn.

    Only files with such a name are opened, so a folder of many pictures is listed as fast as before.
    """
    if not is_output_name(path.name):
        return False
    try:
        with path.open("rb") as file:
            return is_marked(file.read(_HEADER_BYTES + len(_CHUNK)))
    except OSError:  # what is wrong with it is said when it is read as an image
        return False
