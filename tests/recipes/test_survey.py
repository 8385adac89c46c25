"""A look at some images: how large they are, whether they have colour, and what scaling takes away."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomaly.config import PreprocessConfig, Resize
from anomaly.config.region import encode_region
from anomaly.data import Sample
from anomaly.recipes import Survey, scale_note, stretched_region_note, survey
from anomaly.recipes.survey import NUM_FOR_SIZES, NUM_LOOKED_AT
from tests.digit_images import Pixels

PHOTOGRAPHS = Survey(100, 960, 1280, has_colour=True)


def of(*images: Pixels) -> list[Sample]:
    return [Sample(str(i), "train", "normal", kind="", pixels=image) for i, image in enumerate(images)]


def grey(height: int, width: int) -> Pixels:
    return np.random.default_rng(height * width).integers(0, 256, (height, width), np.uint8)


def test_the_medians_of_heights_and_widths() -> None:
    found = survey(of(grey(10, 20), grey(30, 8), grey(12, 90)))
    assert found == Survey(3, 12, 20, has_colour=False, smallest=(10, 20), largest=(12, 90))
    assert found.long_side == 20
    assert str(found) == "3 grey images of 20 × 10 to 90 × 12 pixels"


def test_one_image_with_colour_is_enough_and_equal_channels_are_none() -> None:
    same = np.repeat(grey(4, 4)[..., None], 3, axis=2)
    assert not survey(of(grey(4, 4), same)).has_colour
    tinted = same.copy()
    tinted[1, 2, 0] ^= 1
    assert survey(of(grey(4, 4), same, tinted)).has_colour
    assert str(Survey(1200, 960, 1280, has_colour=True)) == "1,200 colour images of 1,280 × 960 pixels"


def test_the_first_images_decide_and_all_are_counted() -> None:
    images = [grey(8, 8)] * NUM_LOOKED_AT + [grey(64, 64)] * 40
    found = survey(of(*images))
    assert (found.num_images, found.height, found.width) == (NUM_LOOKED_AT + 40, 8, 8)


def test_of_pictures_of_several_sizes_the_range_is_told_and_what_the_largest_lose() -> None:
    found = survey(of(*[grey(64, 64)] * NUM_LOOKED_AT, *[grey(128, 96)] * 20, grey(32, 40)))
    assert str(found) == f"{NUM_LOOKED_AT + 21} grey images of 40 × 32 to 96 × 128 pixels"
    note = scale_note(found, PreprocessConfig(size=32))
    assert note is not None
    assert "images of up to 96 × 128 pixels are scaled down to 32 × 32: about 4.0 pixels become one" in note
    long = scale_note(survey(of(grey(100, 100), grey(2, 400))), PreprocessConfig(size=32))
    assert "images of up to 400 × 2 pixels are scaled down to 32 × 32: about 12.5 pixels become one" in (long or "")


def test_of_coloured_pictures_few_more_are_decoded_for_their_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    samples = of(*[np.zeros((8, 8, 3), np.uint8) + np.array([0, 1, 2], np.uint8)] * 100)
    read = Sample.open

    def counting(self: Sample, **more: Any) -> Any:
        opened.append(self.path)
        return read(self, **more)

    monkeypatch.setattr(Sample, "open", counting)
    survey(samples)
    assert len(opened) == NUM_LOOKED_AT + NUM_FOR_SIZES


@pytest.mark.parametrize("place", [NUM_LOOKED_AT, 299])
def test_colour_is_looked_for_in_all_parts_of_the_list(place: int) -> None:
    images = [grey(8, 8)] * 300
    images[place] = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    assert survey(of(*images)).has_colour
    assert not survey(of(*images[:NUM_LOOKED_AT])).has_colour


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    broken = Sample(str(tmp_path / "text.png"), "train", "normal", kind="")
    assert survey([broken, *of(grey(9, 7))]) == Survey(2, 9, 7, has_colour=False)
    assert survey([broken]) == Survey(1, 32, 32, has_colour=False)


def test_what_scaling_takes_away_is_told_with_what_to_do() -> None:
    note = scale_note(PHOTOGRAPHS, PreprocessConfig(size=64))
    assert note is not None
    assert "images of 1,280 × 960 pixels are scaled down to 64 × 64: about 20.0 pixels become one" in note
    assert "a scratch 10 pixels wide becomes half a pixel" in note
    assert "Smaller defects are lost" in note
    assert "a larger --size (at most 256)" in note
    assert "pictures that show the important region only" in note


def test_at_the_largest_side_no_larger_one_is_advised() -> None:
    note = scale_note(PHOTOGRAPHS, PreprocessConfig(size=256))
    assert note is not None
    assert "about 5.0 pixels become one, and a scratch 10 pixels wide becomes 2.0 pixels" in note
    assert "--size" not in note
    assert "pictures that show the important region only" in note


@pytest.mark.parametrize(
    ("resize", "size", "factor"),
    [(Resize.PAD, 128, "10.0"), (Resize.STRETCH, 128, "10.0"), (Resize.CROP, 128, "7.5")],
)
def test_a_crop_keeps_the_middle_at_the_scale_of_the_short_side(resize: Resize, size: int, factor: str) -> None:
    note = scale_note(PHOTOGRAPHS, PreprocessConfig(size=size, resize=resize))
    assert note is not None
    assert f"about {factor} pixels become one" in note


@pytest.mark.parametrize(("side", "told"), [(20, False), (32, False), (47, False), (48, True), (300, True)])
def test_next_to_nothing_is_not_worth_a_sentence(side: int, told: bool) -> None:
    assert (scale_note(Survey(9, side, 8, has_colour=False), PreprocessConfig(size=32)) is not None) is told


def test_about_one_pixel_is_said_so() -> None:
    note = scale_note(Survey(9, 640, 640, has_colour=False), PreprocessConfig(size=64))
    assert note is not None
    assert "becomes about 1 pixel." in note


def test_pictures_of_another_shape_than_the_region_are_told() -> None:
    inside = np.zeros((48, 64), np.bool_)
    inside[10:40, 10:50] = True
    config = PreprocessConfig(region=encode_region(inside))
    found = survey(of(grey(48, 64), grey(64, 48), grey(48, 64)))
    assert "such as 48 × 64 pixels: it is stretched over them" in (stretched_region_note(found, config) or "")
    assert stretched_region_note(found, PreprocessConfig()) is None
    assert stretched_region_note(survey(of(grey(48, 64), grey(97, 128), grey(480, 640))), config) is None
