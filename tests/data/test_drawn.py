import io

import numpy as np
import pytest
from PIL import Image

from anomaly.data import png_bytes

PIXELS = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)


@pytest.mark.parametrize("optimize", [False, True])
def test_a_png_has_the_picture_as_it_was_drawn(optimize: bool) -> None:
    with Image.open(io.BytesIO(png_bytes(Image.fromarray(PIXELS), optimize=optimize))) as read:
        assert read.format == "PNG"
        np.testing.assert_array_equal(np.asarray(read), PIXELS)


def test_what_is_optimised_is_smaller() -> None:
    picture = Image.fromarray(np.tile(PIXELS, (40, 40, 1)))
    assert len(png_bytes(picture, optimize=True)) < len(png_bytes(picture))
