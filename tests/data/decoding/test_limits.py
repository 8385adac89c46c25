"""The limits of sizes: the command line's are the library's, and large pictures are read one at a time."""

from collections.abc import Callable, Iterable, Iterator
from typing import get_args

import numpy as np
import PIL.Image
import pytest

from anomaly.cli.console import MAX_PIXELS as DEFAULT
from anomaly.cli.console import MaxPixels
from anomaly.config import PreprocessConfig
from anomaly.data import Limits, read_all, reader
from anomaly.data.decoding.limits import DEFAULT_LIMITS
from anomaly.defaults import PIL_MAX_PIXELS


def test_the_command_line_has_the_library_s_limits() -> None:
    _, option = get_args(MaxPixels)
    assert (DEFAULT, option.max) == (DEFAULT_LIMITS.max_pixels, PIL_MAX_PIXELS)
    assert PIL.Image.MAX_IMAGE_PIXELS is not None
    assert PIL_MAX_PIXELS // 2 == PIL.Image.MAX_IMAGE_PIXELS


def test_files_may_grow_with_their_pixels() -> None:
    assert Limits.for_pixels(1000) == Limits(max_bytes=2**26, max_pixels=1000)
    assert Limits.for_pixels(100_000_000).max_bytes > 800_000_000


@pytest.mark.parametrize(("max_pixels", "workers"), [(64_000_000, None), (64_000_001, 1)])
def test_large_pictures_are_read_one_at_a_time(
    max_pixels: int, workers: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int | None] = []

    def map_here(
        function: Callable[[object], object], items: Iterable[object], *, workers: int | None
    ) -> Iterator[object]:
        used.append(workers)
        return map(function, items)

    monkeypatch.setattr(reader, "map_ahead", map_here)
    sources = [("x", np.zeros((2, 2), np.uint8))]
    assert len(list(read_all(sources, PreprocessConfig(size=2), limits=Limits.for_pixels(max_pixels)))) == 1
    assert used == [workers]
