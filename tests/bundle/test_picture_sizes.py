"""What is said of pictures whose size did not calibrate a model that keeps their shapes."""

import pytest

from anomaly.bundle.picture_sizes import PictureSizes
from anomaly.data.size_warning import MOST_TIMES

SIZES = PictureSizes.of([(300, 200), (900, 1200), (400, 400)])


def test_the_smallest_and_the_largest_have_the_fewest_and_the_most_pixels() -> None:
    assert PictureSizes(smallest=(300, 200), largest=(900, 1200)) == SIZES


@pytest.mark.parametrize("size", [(300, 200), (900, 1200), (1200, 900), (500, 500), (150, 200), (1800, 1200)])
def test_nothing_is_said_up_to_so_many_times_fewer_or_more_pixels(size: tuple[int, int]) -> None:
    assert MOST_TIMES == 2
    assert SIZES.warning(*size) is None


@pytest.mark.parametrize(
    ("size", "effect"), [((149, 200), "a defect may pass"), ((1801, 1200), "a normal picture may be")]
)
def test_a_far_smaller_or_larger_picture_is_told_with_all_sizes_and_what_to_do(
    size: tuple[int, int], effect: str
) -> None:
    warning = SIZES.warning(*size)
    assert warning is not None
    height, width = size
    assert warning.startswith(
        f"the picture is {width:,} × {height:,} pixels, and this model was calibrated on 200 × 300 to 1,200 × 900: "
    )
    assert effect in warning
    assert "`anomaly calibrate`" in warning


def test_of_one_size_one_is_said() -> None:
    assert "calibrated on 20 × 10: " in (PictureSizes.of([(10, 20)] * 3).warning(2, 2) or "")
