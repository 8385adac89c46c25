import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from anomaly.training import negatives
from anomaly.training.negatives import VISIBLE, spoil

Image = NDArray[np.float32]


def textures(*, channels: int = 1, side: int = 64) -> tuple[Image, Image]:
    """An image and a donor, unlike each other."""
    rng = np.random.default_rng(7)
    smooth = gaussian_filter(rng.normal(size=(2, channels, side, side)), (0, 0, 1, 1))
    x, donor = (0.5 * smooth + np.array([0.0, 0.3]).reshape(2, 1, 1, 1)).clip(-1, 1).astype(np.float32)
    return x, donor


@given(st.integers(0, 10**6), st.sampled_from([8, 16, 32, 64]), st.sampled_from([1, 3]))
def test_the_mask_is_where_the_change_can_be_seen_and_all_stays_in_range(seed: int, side: int, channels: int) -> None:
    x, donor = textures(channels=channels, side=side)
    before = x.copy(), donor.copy()
    spoilt, mask = spoil(x, donor, np.random.default_rng(seed))
    assert (spoilt.shape, mask.shape) == (x.shape, (side, side))
    assert (spoilt.dtype, mask.dtype) == (np.dtype(np.float32), np.dtype(np.bool_))
    assert np.abs(spoilt).max() <= 1
    change = gaussian_filter(np.abs(spoilt - x).max(axis=0), 1.0)
    assert change[~mask].max(initial=0.0) <= VISIBLE
    assert change[mask].min(initial=1.0) > VISIBLE
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(donor, before[1])


def test_the_same_draws_spoil_alike() -> None:
    first, again = (spoil(*textures(), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    other = spoil(*textures(), np.random.default_rng(4))
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize("wrong", negatives._KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_is_mostly_seen_and_leaves_most_of_the_image_alone(
    wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(negatives, "_KINDS", (wrong,))
    masks = [spoil(*textures(), np.random.default_rng(seed))[1] for seed in range(60)]
    assert np.mean([mask.any() for mask in masks]) > 0.8
    assert 0.005 < np.mean(masks) < 0.35


def test_a_pasted_piece_is_the_donors() -> None:
    """Of a bright donor on a dark image: bright everywhere, or, shifted to the mean of what it covers, all one sign."""
    x, donor = np.zeros((1, 64, 64), np.float32), np.ones((1, 64, 64), np.float32)
    for seed in range(20):
        pasted = negatives._paste(x, donor, np.random.default_rng(seed))
        inside = pasted[np.abs(pasted) > 1e-9]
        assert inside.size
        assert (np.sign(inside) == np.sign(inside[0])).all()


def test_lines_are_thin() -> None:
    x = np.zeros((1, 128, 128), np.float32)
    for seed in range(20):
        change = np.abs(negatives._line(x, x, np.random.default_rng(seed)))[0]
        assert (change > 0.5 * change.max()).mean() < 0.05
