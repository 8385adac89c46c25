"""What is read is what an object held when it was taken, whatever happens to the object while threads read others."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.testing import assert_array_equal
from PIL import ImageSequence

from anomaly.data import Pixels
from anomaly.inference import Detector, load_detector

SIDE = 700  # large enough that threads meet while they decode


@pytest.fixture(scope="module")
def detector(bigan_dir: Path) -> Detector:
    return load_detector(bigan_dir, device="cpu")


def pages() -> list[Pixels]:
    return [np.full((SIDE, SIDE), grey, np.uint8) for grey in range(0, 250, 20)]


def in_a_file(images: list[Pixels], form: str) -> PIL.Image.Image:
    """Opened, and not yet decoded."""
    file = io.BytesIO()
    first, *others = map(PIL.Image.fromarray, images)
    first.save(file, form, save_all=True, append_images=others) if others else first.save(file, form)
    return PIL.Image.open(file)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_a_picture_that_is_there_twice_is_decoded_once(detector: Detector, form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2 * SIDE, 2 * SIDE), np.uint8)
    scores = detector.score([in_a_file([noise], form)] * 8)
    assert scores.errors == [None] * 8
    assert_array_equal(scores.score, np.repeat(detector.score(noise).score, 8))


def test_each_page_of_a_file_has_its_own_score(detector: Detector) -> None:
    scores = detector.score(ImageSequence.Iterator(in_a_file(pages(), "TIFF")))
    assert scores.errors == [None] * len(pages())
    assert_array_equal(scores.score, detector.score(pages()).score)


@pytest.mark.parametrize("as_picture", [False, True])
def test_a_generator_may_fill_one_object_anew(detector: Detector, *, as_picture: bool) -> None:
    def frames() -> Iterator[Pixels | PIL.Image.Image]:
        buffer = np.empty((SIDE, SIDE), np.uint8)
        picture = PIL.Image.new("L", (SIDE, SIDE))
        for page in pages():
            buffer[:] = page
            picture.paste(PIL.Image.fromarray(page))
            yield picture if as_picture else buffer

    assert_array_equal(detector.score(frames()).score, detector.score(pages()).score)


def test_a_picture_that_cannot_be_decoded_fails_alone(detector: Detector) -> None:
    file = io.BytesIO()
    PIL.Image.fromarray(pages()[3]).save(file, "PNG")
    broken = PIL.Image.open(io.BytesIO(file.getvalue()[:-60]))
    scores = detector.score([pages()[3], broken, broken, pages()[3]])
    assert [error is None for error in scores.errors] == [True, False, False, True]
    assert "image 1" in str(scores.errors[1])


def test_a_picture_of_the_caller_is_not_changed(detector: Detector) -> None:
    picture = PIL.Image.fromarray(pages()[5]).convert("RGBA")
    picture.info["exif"] = b"kept"
    detector.score([picture, picture])
    assert (picture.mode, picture.info) == ("RGBA", {"exif": b"kept"})
