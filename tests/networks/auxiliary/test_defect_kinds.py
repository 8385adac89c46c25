import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from anomaly.networks.auxiliary import defect_kinds
from anomaly.networks.auxiliary.defect_kinds import LEAST_VISIBLE, VISIBLE, spoil

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
    assert change[mask].min(initial=1.0) > LEAST_VISIBLE
    assert mask[change > VISIBLE].all()
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(donor, before[1])


@pytest.mark.parametrize(("roughness", "step", "seen"), [(0.0, 0.05, True), (0.3, 0.05, False), (0.3, 0.15, True)])
def test_rough_texture_hides_what_an_even_surface_shows(
    roughness: float, step: float, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = (roughness * np.random.default_rng(0).normal(size=(1, 64, 64))).clip(-0.7, 0.7).astype(np.float32)
    monkeypatch.setattr(defect_kinds, "KINDS", {"step": lambda image, donor, rng: image + step})
    monkeypatch.setattr(defect_kinds, "MAX_WRONG", 1)
    assert (spoil(x, x, np.random.default_rng(0))[1].mean() > 0.99) == seen
    assert spoil(x, x, np.random.default_rng(0))[1].any() == seen


def test_the_same_draws_spoil_alike() -> None:
    first, again = (spoil(*textures(), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    other = spoil(*textures(), np.random.default_rng(4))
    assert (first[0] != other[0]).any()


LOCAL = [kind for kind in defect_kinds.KINDS.values() if kind is not defect_kinds._uneven]


@pytest.mark.parametrize("wrong", LOCAL, ids=lambda kind: kind.__name__)
def test_each_kind_is_mostly_seen_and_leaves_most_of_the_image_alone(
    wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defect_kinds, "KINDS", {"wrong": wrong})
    masks = [spoil(*textures(), np.random.default_rng(seed))[1] for seed in range(60)]
    assert np.mean([mask.any() for mask in masks]) > 0.8
    assert 0.005 < np.mean(masks) < 0.35


def test_a_pasted_piece_is_the_donors() -> None:
    """Of a bright donor on a dark image: bright everywhere, or, shifted to the mean of what it covers, all one sign."""
    x, donor = np.zeros((1, 64, 64), np.float32), np.ones((1, 64, 64), np.float32)
    for seed in range(20):
        pasted = defect_kinds._paste(x, donor, np.random.default_rng(seed))
        inside = pasted[np.abs(pasted) > 1e-9]
        assert inside.size
        assert (np.sign(inside) == np.sign(inside[0])).all()


def ridges(side: int = 128) -> Image:
    """Fine vertical ridges on an even ground, (1, side, side)."""
    return np.tile(0.2 * np.sin(np.arange(side) * 1.5), (1, side, 1)).astype(np.float32)


def test_contrast_is_flatter_or_stronger_and_keeps_the_brightness() -> None:
    x, factors = ridges(), []
    for seed in range(40):
        changed = defect_kinds._contrast(x, x, np.random.default_rng(seed))
        most = np.unravel_index(np.abs(changed - x).argmax(), x.shape)
        factors.append(changed[most] / x[most])
        assert abs((changed - x).mean()) < 0.01
    flatter, stronger = [f for f in factors if f < 1], [f for f in factors if f > 1]
    assert len(flatter) > 10
    assert len(stronger) > 10
    assert 0.1 < np.mean(flatter) < 0.7
    assert 1.5 < np.mean(stronger) < 2.6


def test_blurred_places_lose_detail_and_never_gain_any() -> None:
    x = ridges()
    for seed in range(20):
        changed = defect_kinds._blurred(x, x, np.random.default_rng(seed))
        assert np.abs(changed).max() <= np.abs(x).max() + 1e-6
        rough = np.random.default_rng(seed).normal(size=x.shape).astype(np.float32)
        assert defect_kinds._blurred(rough, rough, np.random.default_rng(seed)).std() < rough.std()


def test_bent_texture_is_the_same_texture() -> None:
    """What a place shows was near by: an even image stays even, and no value is new."""
    even = np.full((1, 64, 64), 0.3, np.float32)
    slope = np.tile(np.linspace(-1, 1, 64, dtype=np.float32), (1, 64, 1))
    for seed in range(20):
        np.testing.assert_allclose(defect_kinds._bent(even, even, np.random.default_rng(seed)), even, atol=1e-6)
        moved = defect_kinds._bent(slope, slope, np.random.default_rng(seed)) - slope
        assert 0 < np.abs(moved).max() < 0.4  # of 2 over the side: at most an eighth of it or so


def test_grain_is_as_often_brighter_as_darker() -> None:
    x = np.zeros((1, 64, 64), np.float32)
    for seed in range(40):
        grain = defect_kinds._grain(x, x, np.random.default_rng(seed))
        assert abs(grain.mean()) < 0.1 * np.abs(grain).max()


def test_uneven_parts_are_large_but_never_all() -> None:
    x = np.zeros((1, 64, 64), np.float32)
    shares = [(np.abs(defect_kinds._uneven(x, x, np.random.default_rng(s))) > 0.05).mean() for s in range(40)]
    assert min(shares) > 0.05
    assert 0.15 < np.mean(shares) < 0.45
    assert max(shares) < 0.8


@pytest.mark.parametrize("shape", [(128, 128), (3, 128, 128)])
@pytest.mark.parametrize("sigma", [4.0, 16.0])
def test_a_wide_blur_is_a_gaussian_one(shape: tuple[int, ...], sigma: float) -> None:
    field = np.zeros(shape)
    field[..., 40:88, 56:72] = 1.0
    exact = gaussian_filter(field, (*(0,) * (len(shape) - 2), sigma, sigma))
    assert np.abs(defect_kinds._wide_blur(field, sigma) - exact).max() < 0.05 * exact.max()
    np.testing.assert_allclose(defect_kinds._wide_blur(np.full(shape, 0.3), sigma), 0.3)


def test_lines_are_thin() -> None:
    x = np.zeros((1, 128, 128), np.float32)
    for seed in range(20):
        change = np.abs(defect_kinds._line(x, x, np.random.default_rng(seed)))[0]
        assert (change > 0.5 * change.max()).mean() < 0.05
