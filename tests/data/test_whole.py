"""Pictures that keep their shapes: their pixels, their maps, and how they are stored."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anomaly.config import PreprocessConfig, Resize
from anomaly.data import (
    Limits,
    Pixels,
    PixelStore,
    Sample,
    preprocess,
    preprocess_batch,
    read,
    read_all,
    restore_map,
)
from anomaly.data.ragged import RaggedPixels, blank, chunk_size, take, together
from anomaly.errors import ImageTooLargeError

WHOLE = PreprocessConfig(resize=Resize.WHOLE, scale=1, channels=1)
SIDES = st.integers(1, 90)
SCALES = st.sampled_from([1.0, 0.5, 0.3])


def noise(*shape: int) -> Pixels:
    return np.random.default_rng(shape).integers(0, 256, shape, np.uint8)


@given(SIDES, SIDES, SCALES, st.sampled_from([1, 3]))
def test_sides_are_the_least_multiples_of_16_that_hold_the_scaled_picture(
    height: int, width: int, scale: float, channels: int
) -> None:
    config = PreprocessConfig.model_validate({"resize": "whole", "scale": scale, "channels": channels})
    pixels = preprocess(noise(height, width), config)
    assert pixels.shape[0] == channels
    assert pixels.flags.c_contiguous
    for side, original in zip(pixels.shape[1:], (height, width), strict=True):
        assert side % 16 == 0
        assert side >= max(round(original * scale), 32)
        assert side < max(round(original * scale) + 16, 33)


def test_at_scale_1_the_picture_is_itself_and_its_edges_are_repeated() -> None:
    image = noise(40, 70)
    pixels = preprocess(image, WHOLE)[0]
    assert pixels.shape == (48, 80)
    assert np.array_equal(pixels[:40, :70], image)
    assert np.array_equal(pixels[40:, :70], np.repeat(image[-1:], 8, axis=0))
    assert np.array_equal(pixels[:40, 70:], np.repeat(image[:, -1:], 10, axis=1))


@given(SIDES, SIDES, SCALES)
def test_a_batch_of_one_shape_has_the_pixels_of_its_images(height: int, width: int, scale: float) -> None:
    config = WHOLE.model_copy(update={"scale": scale})
    images = noise(3, height, width)
    assert np.array_equal(preprocess_batch(images, config), [preprocess(image, config) for image in images])


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize(("height", "width"), [(160, 96), (97, 203), (150, 70)])
def test_a_map_of_places_of_8_pixels_points_at_the_spot(height: int, width: int, scale: float) -> None:
    """The padding of the last rows and columns must not move or stretch it."""
    config = WHOLE.model_copy(update={"scale": scale})
    image = np.zeros((height, width), np.uint8)
    top, left = height - 40, width - 40
    image[top : top + 16, left : left + 16] = 255
    pixels = preprocess(image, config)[0].astype(np.float32)
    places = pixels.reshape(pixels.shape[0] // 8, 8, pixels.shape[1] // 8, 8).mean(axis=(1, 3))
    restored = restore_map(places, config, height, width)
    assert restored.shape == (height, width)
    weights = restored / restored.sum()
    centre = (weights.sum(axis=1) @ np.arange(height), weights.sum(axis=0) @ np.arange(width))
    assert np.allclose(centre, (top + 7.5, left + 7.5), atol=1.5)


def test_the_scale_is_chosen_before_pictures_are_read() -> None:
    with pytest.raises(AssertionError, match="the scale is chosen"):
        preprocess(noise(40, 40), WHOLE.model_copy(update={"scale": "auto"}))


SHAPES = [(40, 70), (20, 33), (64, 64), (20, 33)]


def store_of(folder: Path, name: str) -> PixelStore:
    samples = []
    for index, shape in enumerate(SHAPES):
        path = folder / f"{index}.png"
        Image.fromarray(noise(*shape) // (1 + index)).save(path)
        samples.append(Sample(str(path), None, "normal", ""))
    broken = folder / "broken.png"
    broken.write_bytes(b"nonsense")
    samples.insert(2, Sample(str(broken), None, "normal", ""))
    return PixelStore.build(samples, WHOLE, folder / name)


def test_a_store_keeps_each_shape_in_the_order_of_the_samples(tmp_path: Path) -> None:
    store = store_of(tmp_path, "pixels")
    assert isinstance(store.pixels, RaggedPixels)
    assert len(store.pixels) == len(store.paths) == 4
    assert [path for path, _ in store.errors] == [str(tmp_path / "broken.png")]
    for index, (shape, pixels) in enumerate(zip(SHAPES, store.pixels, strict=True)):
        expected = preprocess(noise(*shape) // (1 + index), WHOLE)
        assert np.array_equal(pixels, expected)
        assert np.array_equal(store.pixels[index], expected)
        assert np.array_equal(store.pixels[index - 4], expected)
        assert not pixels.flags.writeable
    assert [image.shape for image in store.pixels[1:3]] == [(1, 32, 48), (1, 64, 64)]
    with pytest.raises(IndexError):
        store.pixels[4]


def test_the_fingerprint_of_several_shapes_is_of_each_shape_and_its_pixels(tmp_path: Path) -> None:
    store = store_of(tmp_path, "pixels")
    digest = hashlib.sha256()
    for image in store.pixels:
        digest.update(str(image.shape).encode() + image.tobytes())
    assert store.fingerprint() == digest.hexdigest() == store_of(tmp_path, "again").fingerprint()


def test_images_are_taken_by_numbers_and_by_a_mask_from_both_forms() -> None:
    array = noise(4, 1, 8, 8)
    for form in (array, list(array)):
        assert np.array_equal(np.stack(list(take(form, [3, 1]))), array[[3, 1]])
        assert np.array_equal(np.stack(list(take(form, np.array([True, False, False, True])))), array[[0, 3]])


def test_images_of_one_shape_are_an_array_and_others_a_list() -> None:
    images = [noise(1, 32, 32), noise(1, 32, 32)]
    square = PreprocessConfig(size=32)
    assert np.array_equal(together(images, square), np.stack(images))
    assert isinstance(together([images[0], noise(1, 48, 32)], WHOLE), list)
    assert chunk_size(WHOLE) < chunk_size(square)
    assert [image.shape for image in blank(2, WHOLE)] == [(1, 32, 32)] * 2
    assert np.shape(blank(2, square)) == (2, 1, 32, 32)


@pytest.mark.parametrize("shape", [(1, 40_000), (40_000, 2)])
def test_a_picture_that_filling_up_makes_too_large_is_refused(shape: tuple[int, int]) -> None:
    limits = Limits(max_pixels=100_000)
    with pytest.raises(ImageTooLargeError, match=r"32 pixels a side, which makes 1,280,000 of them.* shorter pieces"):
        read(noise(*shape), WHOLE, name="x", limits=limits)
    assert read(noise(300, 300), WHOLE, name="x", limits=limits).pixels.shape == (1, 304, 304)
    (stored,) = read_all([("x", noise(*shape))], WHOLE, limits=limits)
    assert isinstance(stored, ImageTooLargeError)
    squared = WHOLE.model_copy(update={"resize": Resize.STRETCH})
    assert read(noise(*shape), squared, name="x", limits=limits).height == shape[0]
