"""WebP: what uses its data to the end is read, whatever is in it; what was overwritten is refused."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from anomaly.data import Pixels, decode
from anomaly.errors import UndecodableImageError

RNG = np.random.default_rng(0)


def surface(size: int) -> Pixels:
    ramp = np.add.outer(np.arange(size), np.arange(size)) * (90 / size)
    bands = [ramp + RNG.normal(0, 9, (size, size)) for _ in range(3)]
    return np.clip(np.dstack(bands), 0, 255).astype(np.uint8)


def saved(pixels: Pixels, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{"quality": 5}, {"quality": 90, "method": 0}, {"lossless": True}], ids=str)
@pytest.mark.parametrize("size", [1, 3, 16, 17, 100])
def test_whole_files_are_read_though_they_may_end_in_zeros(size: int, options: dict[str, object]) -> None:
    pixels = surface(size)
    black_below = np.where(np.arange(size)[:, None, None] < size // 3, pixels, 0).astype(np.uint8)
    alpha = np.where(np.tri(size) > 0, 255, 0).astype(np.uint8)
    for drawn in (pixels, black_below, np.zeros_like(pixels), np.full_like(pixels, 255), np.dstack([pixels, alpha])):
        assert decode(saved(drawn, **options), name="it").size == (size, size)


def test_an_animation_is_read() -> None:
    frames = [Image.fromarray(surface(40)) for _ in range(2)]
    buffer = BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    seen = decode(buffer.getvalue(), name="it")
    np.testing.assert_array_equal(np.asarray(seen), np.asarray(frames[0]))


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "second half zeros": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "second half 0xFF": lambda data: data[: len(data) // 2] + b"\xff" * (len(data) - len(data) // 2),
    "last fifth zeros": lambda data: data[: len(data) * 4 // 5] + bytes(len(data) - len(data) * 4 // 5),
    "512 zeros in the middle": lambda data: data[: len(data) // 2] + bytes(512) + data[len(data) // 2 + 512 :],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("options", [{"quality": 50}, {"quality": 90}, {"lossless": True}], ids=str)
def test_overwritten_files_are_refused(change: str, options: dict[str, object]) -> None:
    for size in (150, 200):
        with pytest.raises(UndecodableImageError, match=r"^it: cannot be decoded"):
            decode(CHANGES[change](saved(surface(size), **options)), name="it")
