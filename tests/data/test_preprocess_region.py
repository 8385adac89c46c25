"""What lies outside of the region reaches no pixel and no map, however the picture is scaled and read."""

from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from anomaly.config import PreprocessConfig, Resize
from anomaly.config.region import encode_region, inside_of
from anomaly.data import Pixels, preprocess, preprocess_batch, read, read_all, restore_map

SHAPES = st.one_of(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.tuples(st.integers(1, 70), st.integers(1, 70), st.just(3)),
)
REGIONS = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(lambda shape: arrays(np.bool_, shape))
CONFIGS = st.builds(
    PreprocessConfig,
    size=st.sampled_from([8, 16, 32]),
    channels=st.sampled_from([1, 3]),
    resize=st.sampled_from(Resize),
    scale=st.sampled_from([0.5, 1.0]),
    region=REGIONS.filter(np.any).map(encode_region),
)


def inside(config: PreprocessConfig, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    assert config.region is not None
    mask = inside_of(config.region, *shape[:2])
    return mask if len(shape) == 2 else mask[:, :, None]


@given(st.data(), SHAPES, CONFIGS)
def test_a_change_outside_changes_no_pixel(
    data: st.DataObject, shape: tuple[int, ...], config: PreprocessConfig
) -> None:
    images = arrays(np.uint8, shape)
    image, other = data.draw(images), data.draw(images)
    changed = np.where(inside(config, shape), image, other)
    expected = preprocess(image, config)
    assert np.array_equal(preprocess(changed, config), expected)
    assert np.array_equal(preprocess_batch(np.stack([image, changed]), config), [expected, expected])


@pytest.mark.parametrize("side", [100, 300])  # small pictures are read together, large ones one by one
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", Resize)
def test_nor_does_it_in_files(resize: Resize, channels: Literal[1, 3], side: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image, other = rng.integers(0, 256, (2, side, side + 50, 3), np.uint8)
    region = encode_region(rng.random((30, 45)) < 0.5)
    config = PreprocessConfig(size=32, channels=channels, resize=resize, scale=0.5, region=region)
    paths = [tmp_path / "0.png", tmp_path / "1.png"]
    for path, pixels in zip(paths, [image, np.where(inside(config, image.shape), image, other)], strict=True):
        Image.fromarray(pixels).save(path)
    expected = preprocess(image, config)
    for picture in [*read_all([(path.name, path) for path in paths], config), read(paths[1], config, name="1")]:
        assert not isinstance(picture, Exception)
        assert np.array_equal(picture.pixels, expected)


@given(st.data(), SHAPES)
def test_a_change_inside_changes_pixels(data: st.DataObject, shape: tuple[int, ...]) -> None:
    """At the picture's own size, where no pixel is scaled away."""
    height, width = shape[:2]
    config = PreprocessConfig(size=max(height, width, 2), channels=3, region=encode_region(np.ones((1, 1), np.bool_)))
    image = data.draw(arrays(np.uint8, shape))
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    changed = image.copy()
    changed[y, x] ^= 255
    assert not np.array_equal(preprocess(image, config), preprocess(changed, config))


def test_the_outside_is_mid_grey_and_the_caller_keeps_the_picture() -> None:
    region = np.zeros((4, 4), np.bool_)
    region[:, 2:] = True
    config = PreprocessConfig(size=8, channels=3, resize=Resize.STRETCH, region=encode_region(region))
    picture = Image.new("RGB", (8, 8), (200, 10, 30))
    pixels = preprocess(picture, config)
    assert (pixels[:, :, :4] == 127).all()
    assert (pixels[:, :, 4:] == np.array([200, 10, 30])[:, None, None]).all()
    assert picture.getpixel((0, 0)) == (200, 10, 30)


@given(st.integers(1, 70), st.integers(1, 70), CONFIGS)
def test_maps_are_0_outside_and_as_they_were_inside(height: int, width: int, config: PreprocessConfig) -> None:
    heatmap = np.random.default_rng(0).random((config.size, config.size), np.float32) + 1
    whole = restore_map(heatmap, config.model_copy(update={"region": None}), height, width)
    restored = restore_map(heatmap, config, height, width)
    assert np.array_equal(restored, np.where(inside(config, (height, width)), whole, 0))


def test_without_a_region_nothing_changes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    full = encode_region(np.ones((2, 3), np.bool_))
    assert np.array_equal(preprocess(image, PreprocessConfig()), preprocess(image, PreprocessConfig(region=full)))


def test_a_picture_in_pil_s_hands_is_read_the_same() -> None:
    config = PreprocessConfig(size=16, region=encode_region(np.eye(8, dtype=np.bool_)))
    image = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    file = BytesIO()
    Image.fromarray(image).save(file, "png")
    assert np.array_equal(read(file.getvalue(), config, name="x").pixels, preprocess(Image.fromarray(image), config))


def grey(value: int) -> Pixels:
    return np.full((9, 7), value, np.uint8)


def test_a_picture_wholly_outside_is_grey() -> None:
    """A region that a tiny picture's centres all miss."""
    region = np.zeros((9, 9), np.bool_)
    region[0, 0] = True
    assert (preprocess(grey(3)[:1, :1], PreprocessConfig(size=8, region=encode_region(region))) == 127).all()
