"""The one preprocessing, and its inverse for maps."""

import tracemalloc
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from anomaly.config import PreprocessConfig, Resize
from anomaly.data import Pixels, decode, preprocess, preprocess_batch, restore_map

SIZES = st.sampled_from([8, 16, 32])
SQUARES = [resize for resize in Resize if resize is not Resize.WHOLE]
CONFIGS = st.builds(PreprocessConfig, size=SIZES, channels=st.sampled_from([1, 3]), resize=st.sampled_from(SQUARES))
SHAPES = st.one_of(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.tuples(st.integers(1, 70), st.integers(1, 70), st.just(3)),
)
IMAGES = SHAPES.flatmap(lambda shape: arrays(np.uint8, shape))


@given(IMAGES, CONFIGS)
def test_any_image_becomes_channels_size_size_and_keeps_its_range(image: Pixels, config: PreprocessConfig) -> None:
    pixels = preprocess(image, config)
    assert pixels.shape == (config.channels, config.size, config.size)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable  # torch warns of others
    assert image.min() <= pixels.min()
    assert pixels.max() <= image.max()


@given(IMAGES, CONFIGS, st.sampled_from(["PNG", "BMP", "TIFF"]))
def test_one_picture_has_one_set_of_pixels(image: Pixels, config: PreprocessConfig, file_format: str) -> None:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, file_format)
    expected = preprocess(image, config)
    assert np.array_equal(preprocess(decode(buffer.getvalue(), name="file"), config), expected)
    assert np.array_equal(preprocess(Image.open(BytesIO(buffer.getvalue())), config), expected)
    assert np.array_equal(preprocess(np.asfortranarray(image), config), expected)


@given(st.data(), SHAPES, st.integers(1, 4), CONFIGS)
def test_a_batch_has_the_pixels_of_its_images(
    data: st.DataObject, shape: tuple[int, ...], n: int, config: PreprocessConfig
) -> None:
    images = data.draw(arrays(np.uint8, (n, *shape)))
    pixels = preprocess_batch(images, config)
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert np.array_equal(pixels, [preprocess(image, config) for image in images])


@given(st.data(), CONFIGS)
def test_an_image_of_the_right_size_passes_bit_identical(data: st.DataObject, config: PreprocessConfig) -> None:
    shape = (config.size, config.size) if config.channels == 1 else (config.size, config.size, 3)
    image = data.draw(arrays(np.uint8, shape))
    expected = image[None] if config.channels == 1 else image.transpose(2, 0, 1)
    assert np.array_equal(preprocess(image, config), expected)


def test_colour_becomes_grey_by_luma() -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]], np.uint8)
    image = np.broadcast_to(colours.repeat(2, axis=0), (8, 8, 3))
    grey = preprocess(np.ascontiguousarray(image), PreprocessConfig(size=8))
    assert grey[0, 0, ::2].tolist() == [76, 150, 29, 90]


def test_grey_becomes_three_equal_channels() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert np.array_equal(preprocess(image, PreprocessConfig(size=8, channels=3)), np.stack([image] * 3))


def test_pad_keeps_all_of_the_image_in_the_middle_and_repeats_its_edges() -> None:
    image = np.zeros((16, 32), np.uint8)
    image[0], image[-1] = 100, 200
    pixels = preprocess(image, PreprocessConfig(size=32, resize=Resize.PAD))[0]
    assert np.array_equal(pixels[8:24], image)
    assert (pixels[:8] == 100).all()
    assert (pixels[24:] == 200).all()


def test_pad_keeps_the_aspect_ratio() -> None:
    image = np.zeros((60, 120), np.uint8)
    image[20:40, 50:70] = 255  # a square stays a square
    bright = preprocess(image, PreprocessConfig(size=32))[0] > 127
    assert abs(int(bright.any(axis=0).sum()) - int(bright.any(axis=1).sum())) <= 1


def test_crop_keeps_the_middle() -> None:
    image = np.zeros((32, 64), np.uint8)
    image[:, 16:48] = np.arange(32) * 8
    pixels = preprocess(image, PreprocessConfig(size=32, resize=Resize.CROP))[0]
    assert np.array_equal(pixels, image[:, 16:48])


def test_stretch_keeps_all_of_the_image() -> None:
    image = np.repeat(np.array([[10, 10, 200, 200]], np.uint8), 2, axis=0)
    pixels = preprocess(image, PreprocessConfig(size=16, resize=Resize.STRETCH))[0]
    assert (pixels[:, 0] == 10).all()
    assert (pixels[:, -1] == 200).all()


@pytest.mark.parametrize("resize", SQUARES)
def test_reducing_is_antialiased(resize: Resize) -> None:
    rows, columns = np.mgrid[:256, :256]
    checkerboard = ((rows + columns) % 2 * 255).astype(np.uint8)
    pixels = preprocess(checkerboard, PreprocessConfig(size=8, resize=resize))
    assert np.abs(pixels.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 1000), (1000, 1), (2, 999, 3)])
@pytest.mark.parametrize("resize", SQUARES)
def test_lines_and_points_are_images_too(shape: tuple[int, ...], resize: Resize) -> None:
    config = PreprocessConfig(size=16, resize=resize)
    assert (preprocess(np.full(shape, 77, np.uint8), config) == 77).all()
    assert restore_map(np.ones((16, 16), np.float32), config, *shape[:2]).shape == shape[:2]


@given(st.integers(1, 90), st.integers(1, 90), SIZES)
def test_a_restored_map_covers_what_was_seen(height: int, width: int, size: int) -> None:
    ones = np.ones((size, size), np.float32)
    for resize in SQUARES:
        restored = restore_map(ones, PreprocessConfig(size=size, resize=resize), height, width)
        assert restored.dtype == np.float32
        num_seen = min(height, width) ** 2 if resize is Resize.CROP else height * width
        assert np.isclose(restored, 1).sum() == num_seen
        assert (restored == 0).sum() == height * width - num_seen


@pytest.mark.parametrize(("height", "width"), [(40, 120), (120, 40), (64, 64), (31, 33)])
@pytest.mark.parametrize("resize", SQUARES)
def test_a_map_points_at_the_same_place_as_before(height: int, width: int, resize: Resize) -> None:
    """The image itself, preprocessed and restored as a map, has its spot where it was."""
    image = np.zeros((height, width), np.uint8)
    top, left = height // 2 - 8, width // 2 - 4
    image[top : top + 10, left : left + 10] = 255
    config = PreprocessConfig(size=32, resize=resize)
    restored = restore_map(preprocess(image, config)[0].astype(np.float32), config, height, width)
    weights = restored / restored.sum()
    centre = (weights.sum(axis=1) @ np.arange(height), weights.sum(axis=0) @ np.arange(width))
    assert np.allclose(centre, (top + 4.5, left + 4.5), atol=0.75)


def test_restoring_pad_drops_the_padding_only() -> None:
    heatmap = np.zeros((32, 32), np.float32)
    heatmap[8:24] = 1
    assert (restore_map(heatmap, PreprocessConfig(), 16, 32) == 1).all()


def test_a_restored_map_is_in_memory_once_beside_that_of_pil() -> None:
    height, width = 3000, 2000
    tracemalloc.start()
    try:
        restored = restore_map(np.ones((16, 16), np.float32), PreprocessConfig(size=16), height, width)
        _, peak = tracemalloc.get_traced_memory()  # which does not see PIL's own
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * restored.nbytes
