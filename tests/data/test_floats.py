"""8 bits as floats and back: one pair of functions for all that have no tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from anomaly.data import to_channels_last, to_floats, to_pixels
from anomaly.runtime import to_float

ROOT = Path(__file__).parents[2]
EVERY = np.arange(256, dtype=np.uint8)


def test_every_value_goes_and_comes_back() -> None:
    x = to_floats(EVERY)
    assert x.dtype == np.float32
    assert (x[0], x[255]) == (-1.0, 1.0)
    np.testing.assert_array_equal(to_pixels(x), EVERY)


def test_the_floats_are_those_of_training_bit_by_bit() -> None:
    """And those of pixels / 127.5 - 1 written in one line, as synthetic defects had them."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8), dtype=np.uint8)
    assert to_floats(pixels).tobytes() == to_float(torch.from_numpy(pixels)).contiguous().numpy().tobytes()
    assert to_floats(pixels).tobytes() == (pixels.astype(np.float32) / 127.5 - 1).tobytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_pixels_are_rounded_and_clipped(dtype: type[np.floating]) -> None:
    """Clipped before or after rounding: the same."""
    x = np.random.default_rng(0).normal(0.0, 1.0, 20_000).astype(dtype)
    expected = np.rint((np.clip(x, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
    assert {0, 255} < set(expected)
    np.testing.assert_array_equal(to_pixels(x), expected)


def test_what_is_given_stays() -> None:
    pixels, x = EVERY.copy(), np.linspace(-2, 2, 99)
    to_floats(pixels)
    to_pixels(x)
    np.testing.assert_array_equal(pixels, EVERY)
    np.testing.assert_array_equal(x, np.linspace(-2, 2, 99))


def test_nobody_else_writes_the_formula() -> None:
    """But for tensors: on their device, and as the pretrained network wants them."""
    files = [path for package in ("anomaly", "service") for path in (ROOT / package).rglob("*.py")]
    named = {path.relative_to(ROOT).as_posix() for path in files if "127.5" in path.read_text("utf-8")}
    assert named == {"anomaly/data/floats.py", "anomaly/runtime.py", "anomaly/networks/pretrained.py"}


@pytest.mark.parametrize(("channels", "shape"), [(1, (1, 2)), (3, (1, 2, 3))])
def test_pictures_have_their_channels_last_and_a_single_one_not_at_all(channels: int, shape: tuple[int, ...]) -> None:
    pixels = np.arange(2 * channels, dtype=np.uint8).reshape(channels, 1, 2)
    picture = to_channels_last(pixels)
    assert picture.shape == shape
    np.testing.assert_array_equal(np.moveaxis(picture.reshape(1, 2, channels), -1, 0), pixels)
