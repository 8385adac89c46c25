"""What is said of pictures of another size or shape than those that a model is for."""

import numpy as np
import pytest

from anomaly.bundle.picture_sizes import PictureSizes
from anomaly.config.region import encode_region
from anomaly.sizes import MOST_TIMES, size_warning

SIZES = PictureSizes.of([(300, 200), (900, 1200), (400, 400)])


def test_the_smallest_and_the_largest_have_the_fewest_and_the_most_pixels() -> None:
    assert PictureSizes(smallest=(300, 200), largest=(900, 1200)) == SIZES


@pytest.mark.parametrize("size", [(300, 200), (900, 1200), (1200, 900), (500, 500), (150, 200), (1800, 1200)])
def test_nothing_is_said_up_to_so_many_times_fewer_or_more_pixels(size: tuple[int, int]) -> None:
    assert MOST_TIMES == 2
    assert size_warning(size, SIZES, None) is None


@pytest.mark.parametrize(
    ("size", "effect"), [((149, 200), "a defect may pass"), ((1801, 1200), "a normal picture may be")]
)
def test_a_far_smaller_or_larger_picture_is_told_with_all_sizes_and_what_to_do(
    size: tuple[int, int], effect: str
) -> None:
    warning = size_warning(size, SIZES, None)
    assert warning is not None
    height, width = size
    assert warning.startswith(
        f"the picture is {width:,} × {height:,} pixels, and this model was calibrated on 200 × 300 to 1,200 × 900: "
    )
    assert effect in warning
    assert "`anomaly calibrate`" in warning


def test_of_one_size_one_is_said() -> None:
    assert "calibrated on 20 × 10: " in (size_warning((2, 2), PictureSizes.of([(10, 20)] * 3), None) or "")


REGION = encode_region(np.eye(60, 90, dtype=np.bool_))


@pytest.mark.parametrize(
    ("size", "is_told"),
    [((60, 90), False), ((601, 900), False), ((630, 900), False), ((640, 900), True), ((90, 60), True)],
)
def test_a_picture_of_another_shape_than_the_region_is_told(size: tuple[int, int], is_told: bool) -> None:
    warning = size_warning(size, None, REGION)
    assert (warning is not None) is is_told
    if warning is not None:
        assert "another shape than that of the model's region: the region is stretched over it" in warning


def test_both_are_said() -> None:
    warning = size_warning((2, 2), SIZES, REGION) or ""
    assert warning.index("a defect may pass") < warning.index("; the picture is 2 × 2 pixels, which is another shape")
