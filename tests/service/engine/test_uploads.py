from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from anomaly.config import PreprocessConfig
from anomaly.errors import ImageTooLargeError, UndecodableImageError
from service.engine.uploads import Uploads
from service.settings import Settings
from tests.service.fakes import SIDE, picture, png, tagged

CONFIG = PreprocessConfig(size=SIDE)


@contextmanager
def untimed() -> Iterator[None]:
    yield


def test_an_image_is_decoded_to_the_models_pixels_and_keeps_its_own_size() -> None:
    uploads = Uploads(Settings(), timed=untimed)
    found = uploads.prepare(png(77), CONFIG, name="x")
    assert np.array_equal(found.pixels, tagged(77))
    wide = uploads.prepare(picture(31, 17), CONFIG, name="x")
    assert (wide.pixels.shape, wide.height, wide.width) == ((1, SIDE, SIDE), 17, 31)


def test_limits_hold_and_errors_name_the_image() -> None:
    uploads = Uploads(Settings(max_pixels=100), timed=untimed)
    with pytest.raises(ImageTooLargeError):
        uploads.prepare(picture(11, 10), CONFIG, name="x")
    with pytest.raises(UndecodableImageError, match=r"broken\.png"):
        uploads.prepare(png(1)[:40], CONFIG, name="broken.png")


def test_each_decoding_is_timed_whatever_comes_of_it() -> None:
    times: list[str] = []

    @contextmanager
    def timed() -> Iterator[None]:
        times.append("begun")
        try:
            yield
        finally:
            times.append("ended")

    uploads = Uploads(Settings(), timed=timed)
    uploads.prepare(png(1), CONFIG, name="x")
    with pytest.raises(UndecodableImageError):
        uploads.prepare(png(1)[:40], CONFIG, name="x")
    assert times == ["begun", "ended"] * 2
