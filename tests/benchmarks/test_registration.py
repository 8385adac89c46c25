"""Registration undoes a shift and a turn, and the z-map shows what is left."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from anomaly.data import Sample
from benchmarks.registration import registered_to, registration_scores


def scene() -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.uniform(60, 200, (20, 30)), np.ones((12, 12)))
    return np.asarray(ndimage.gaussian_filter(blocks, 1), np.float32)


def moved(picture: NDArray[np.float32], angle: float, shift: tuple[float, float]) -> NDArray[np.float32]:
    turned = ndimage.rotate(picture, angle, reshape=False, order=1, mode="nearest")
    return np.asarray(ndimage.shift(turned, shift, order=1, mode="nearest"), np.float32)


def test_a_shift_and_a_turn_are_undone() -> None:
    there = moved(scene(), 0.9, (5, -7))
    inside = np.s_[20:-20, 20:-20]
    before = np.abs(there - scene())[inside].mean()
    after = np.abs(registered_to(scene(), there) - scene())[inside].mean()
    assert after < before / 4


def test_a_spot_is_the_strongest_place() -> None:
    rng = np.random.default_rng(1)
    large = np.kron(scene(), np.ones((2, 2)))

    def picture(spot: bool) -> Sample:
        there = moved(large, rng.uniform(-1, 1), (rng.uniform(-6, 6), rng.uniform(-6, 6)))
        pixels = there + rng.normal(0, 2, there.shape)
        if spot:
            pixels[230:242, 300:312] += 90
        return Sample("", "test", None, kind="", pixels=pixels.clip(0, 255).astype(np.uint8))

    normals = [picture(False) for _ in range(8)]
    scores = registration_scores(normals, [picture(False), picture(False), picture(True)])
    assert scores[2] > max(scores[:2])
