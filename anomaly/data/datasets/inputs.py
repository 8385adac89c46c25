"""The inputs of `anomaly score`: every image gets a place (law 7)."""

from collections.abc import Sequence
from pathlib import Path

from anomaly.data.datasets.images import find_images
from anomaly.data.files.left_out import LeftOut, Why
from anomaly.errors import UsageError
from anomaly.files import given_path


def expand_inputs(inputs: Sequence[str]) -> tuple[list[str], list[LeftOut]]:
    """The paths to score, in the order of the inputs, and the other files inside folders, which are left out.

    What is named stays, whatever it is. A folder stands for the images in it (see `find_images`); a folder without any
    keeps a place of its own, where reading will say what it is. Masks in a folder are left out.

    Raises:
        UsageError: `inputs` is one text, whose every character would be an input, or one of them is empty.
    """
    if isinstance(inputs, str):
        raise UsageError(f"inputs is the text {inputs!r}; expected a list of paths, such as [{inputs!r}]")
    paths: list[str] = []
    left_out: list[LeftOut] = []
    for named in inputs:
        if not given_path(named, "an input").is_dir():
            paths.append(named)
            continue
        found = find_images(Path(named))
        paths += [str(image) for image in found.images] or [named]
        left_out += [*found.left_out, *(LeftOut(str(mask), Why.MASK) for mask in found.masks)]
    return paths, left_out
