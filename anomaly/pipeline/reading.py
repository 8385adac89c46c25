"""How a caller watches a use case that reads a whole data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ReadingWatch:
    """What the data were taken for, in sentences; then the number of images to read; then each image, broken or not."""

    on_data: Callable[[Sequence[str]], None] = lambda sentences: None
    on_reading: Callable[[int], None] = lambda total: None
    on_image: Callable[[], None] = lambda: None
