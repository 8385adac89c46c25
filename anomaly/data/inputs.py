"""The inputs of `anomaly score`: every image gets a place (law 7)."""

from collections.abc import Sequence
from pathlib import Path

from anomaly.data.files import find_images


def expand_inputs(inputs: Sequence[str]) -> tuple[list[str], int]:
    """The paths to score, in the order of the inputs, and the number of other files that were skipped inside folders.

    What is named stays, whatever it is. A folder stands for the images in it (see `find_images`); a folder without any
    keeps a place of its own, where reading will say what it is.
    """
    paths: list[str] = []
    num_skipped = 0
    for named in inputs:
        images, num_others = find_images(Path(named)) if Path(named).is_dir() else ([], 0)
        paths += [str(image) for image in images] or [named]
        num_skipped += num_others
    return paths, num_skipped
