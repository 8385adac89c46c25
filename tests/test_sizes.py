"""What is said of pictures of another size or shape than those that a model is for."""

import numpy as np
import pytest

from anomaly.bundle.picture_sizes import PictureSizes
from anomaly.config import PreprocessConfig, Resize
from anomaly.config.region import encode_region
from anomaly.sizes import MOST_ENLARGED, MOST_OTHER_SHAPE, MOST_TIMES, size_warning

WHOLE = PreprocessConfig(resize=Resize.WHOLE)
SIZES = PictureSizes.of([(300, 200), (900, 1200), (400, 400)], Resize.WHOLE)


def test_the_smallest_and_the_largest_have_the_fewest_and_the_most_pixels() -> None:
    assert PictureSizes(smallest=(300, 200), largest=(900, 1200)) == SIZES


@pytest.mark.parametrize("size", [(300, 200), (900, 1200), (1200, 900), (500, 500), (150, 200), (1800, 1200)])
def test_nothing_is_said_up_to_so_many_times_fewer_or_more_pixels(size: tuple[int, int]) -> None:
    assert MOST_TIMES == 2
    assert size_warning(size, SIZES, WHOLE) is None


@pytest.mark.parametrize(
    ("size", "effect"), [((149, 200), "a defect may pass"), ((1801, 1200), "a normal picture may be")]
)
def test_a_far_smaller_or_larger_picture_is_told_with_all_sizes_and_what_to_do(
    size: tuple[int, int], effect: str
) -> None:
    warning = size_warning(size, SIZES, WHOLE)
    assert warning is not None
    height, width = size
    assert warning.startswith(
        f"the picture is {width:,} × {height:,} pixels, and this model was calibrated on 200 × 300 to 1,200 × 900: "
    )
    assert effect in warning
    assert "`anomaly calibrate`" in warning


def test_of_one_size_one_is_said() -> None:
    one_size = PictureSizes.of([(10, 20)] * 3, Resize.WHOLE)
    assert "calibrated on 20 × 10: " in (size_warning((2, 2), one_size, WHOLE) or "")


@pytest.mark.parametrize(
    ("resize", "smallest", "largest"),
    [(Resize.PAD, (60, 20), (30, 90)), (Resize.CROP, (60, 20), (40, 70)), (Resize.STRETCH, (60, 20), (40, 70))],
)
def test_of_squares_the_smallest_is_enlarged_most(
    resize: Resize, smallest: tuple[int, int], largest: tuple[int, int]
) -> None:
    found = PictureSizes.of([(30, 90), (40, 70), (60, 20)], resize)
    assert found == PictureSizes(smallest=smallest, largest=largest, narrowest=(60, 20), widest=(30, 90))


@pytest.mark.parametrize(
    ("resize", "calibrated", "size", "is_told"),
    [
        (Resize.PAD, (28, 28), (28, 28), False),
        (Resize.PAD, (28, 28), (26, 26), False),  # 1.08 times as much enlarged
        (Resize.PAD, (28, 28), (25, 25), True),
        (Resize.PAD, (28, 28), (28, 9), False),  # enlarged as much as they are; its shape is another matter
        (Resize.PAD, (28, 28), (2800, 2800), False),
        (Resize.PAD, (500, 500), (32, 20), False),  # not enlarged
        (Resize.PAD, (500, 500), (29, 20), True),
        (Resize.STRETCH, (28, 28), (28, 9), True),
        (Resize.CROP, (28, 28), (9, 28), True),
        (Resize.CROP, (500, 500), (400, 30), False),
    ],
)
def test_a_picture_that_is_enlarged_more_than_those_that_calibrated_is_told(
    resize: Resize, calibrated: tuple[int, int], size: tuple[int, int], *, is_told: bool
) -> None:
    assert MOST_ENLARGED == 1.1
    model = PreprocessConfig(size=32, resize=resize)
    warning = size_warning(size, PictureSizes(smallest=calibrated, largest=(500, 500)), model)
    assert (warning is not None) is is_told
    if warning is not None:
        assert "enlarged to the model's 32 × 32 it is blurred, and a normal picture may be called anomalous" in warning
        assert "`anomaly calibrate`" in warning


def test_a_model_that_does_not_know_them_says_nothing() -> None:
    assert size_warning((2, 2), None, PreprocessConfig(size=32)) is None
    assert size_warning((2, 2), None, WHOLE) is None


@pytest.mark.parametrize(
    ("resize", "size", "effect"),
    [
        (Resize.STRETCH, (300, 400), ""),
        (Resize.STRETCH, (600, 900), ""),  # 3 : 2 after 4 : 3
        (Resize.STRETCH, (300, 481), "squeezed into the model's 32 × 32 it looks otherwise"),
        (Resize.STRETCH, (120, 100), ""),
        (Resize.STRETCH, (121, 100), "squeezed"),
        (Resize.PAD, (300, 481), "the model's 32 × 32 are filled up otherwise"),
        (Resize.PAD, (200, 100), "filled up otherwise"),
        (Resize.CROP, (300, 481), "more is cut off than of those: a defect may pass"),
        (Resize.CROP, (400, 300), ""),  # as much is cut off as of 400 × 300
        (Resize.CROP, (481, 300), "cut off"),
        (Resize.WHOLE, (300, 481), ""),
    ],
)
def test_a_picture_of_another_shape_than_those_that_calibrated_is_told(
    resize: Resize, size: tuple[int, int], effect: str
) -> None:
    assert MOST_OTHER_SHAPE == 1.2
    model = PreprocessConfig(size=32, resize=resize)
    warning = size_warning(size, PictureSizes.of([(300, 400), (300, 300), (210, 220)], resize), model)
    assert (warning is not None) is bool(effect)
    if warning is not None:
        assert "another shape than those that calibrated this model have (300 × 300 to 400 × 300): " in warning
        assert effect in warning
        assert "`anomaly calibrate`" in warning


def test_a_model_that_does_not_know_their_shapes_says_nothing_of_them() -> None:
    model = PreprocessConfig(size=32, resize=Resize.STRETCH)
    assert size_warning((300, 900), PictureSizes(smallest=(300, 300), largest=(300, 400)), model) is None


def test_where_the_region_is_stretched_nothing_else_is_said_of_the_shape() -> None:
    model = PreprocessConfig(size=32, resize=Resize.STRETCH, region=REGION)
    sizes = PictureSizes.of([(60, 90)], Resize.STRETCH)
    warning = size_warning((60, 180), sizes, model) or ""
    assert "the region is stretched over it" in warning
    assert "squeezed" not in warning


REGION = encode_region(np.eye(60, 90, dtype=np.bool_))


@pytest.mark.parametrize(
    ("size", "is_told"),
    [((60, 90), False), ((601, 900), False), ((630, 900), False), ((640, 900), True), ((90, 60), True)],
)
def test_a_picture_of_another_shape_than_the_region_is_told(size: tuple[int, int], is_told: bool) -> None:
    warning = size_warning(size, None, WHOLE.model_copy(update={"region": REGION}))
    assert (warning is not None) is is_told
    if warning is not None:
        assert "another shape than that of the model's region: the region is stretched over it" in warning


def test_both_are_said() -> None:
    warning = size_warning((2, 2), SIZES, WHOLE.model_copy(update={"region": REGION})) or ""
    assert warning.index("a defect may pass") < warning.index("; the picture is 2 × 2 pixels, which is another shape")
