"""Drawn defects: of the size, contrast and place that is told, and none of those that training draws."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly.data import Pixels
from anomaly.evaluation import defects
from anomaly.evaluation.defects import Defect, DefectKind, spoil_picture
from anomaly.networks.auxiliary import defect_kinds

FLAT = [DefectKind.DARK_SCRATCH, DefectKind.BRIGHT_SCRATCH, DefectKind.DARK_SPOT, DefectKind.BRIGHT_SPOT]
SIZES = [(1, 2), (1, 4), (1, 8), (2, 16), (4, 32), (8, 64), (3, 20)]


def even(height: int = 200, width: int = 160, *, grey: int = 128, colour: bool = True) -> Pixels:
    return np.full((height, width, 3) if colour else (height, width), grey, np.uint8)


def textured(*, colour: bool = True) -> Pixels:
    shape = (120, 90, 3) if colour else (120, 90)
    return np.random.default_rng(0).integers(90, 166, shape, np.uint8)


def defect_of(kind: DefectKind, length: int, *, width: int | None = None, contrast: float = 0.3) -> Defect:
    own = None if kind is DefectKind.MISSING_STRUCTURE else contrast
    return Defect(kind, length if width is None else width, length, own)


def spoilt(picture: Pixels, defect: Defect, seed: int = 0) -> Pixels:
    found = spoil_picture(picture, defect, np.random.default_rng(seed))
    assert found is not None
    return found


def changed(before: Pixels, after: Pixels) -> np.ndarray:
    """(n, 2): rows and columns of the pixels that differ."""
    differs = before != after
    return np.argwhere(differs.any(axis=2) if differs.ndim == 3 else differs)


@pytest.mark.parametrize(("width", "length"), SIZES)
@pytest.mark.parametrize("kind", [DefectKind.DARK_SCRATCH, DefectKind.BRIGHT_SCRATCH])
def test_a_scratch_is_as_long_and_as_wide_as_it_says_at_any_angle(kind: DefectKind, width: int, length: int) -> None:
    picture = even()
    areas, lengths = [], []
    for seed in range(60):
        places = changed(picture, spoilt(picture, defect_of(kind, length, width=width), seed))
        areas.append(len(places))
        along, across = np.ptp(places @ _directions(places), axis=0)
        lengths.append(along)
        assert along <= math.hypot(length, width)
        assert across <= width + 0.25  # the axes of a few pixels are not quite those that were drawn
    assert length - 1.5 <= np.mean(lengths) <= length  # between the centres of the last pixels
    assert np.mean(areas) == pytest.approx(width * length, rel=0.1)


def _directions(places: np.ndarray) -> np.ndarray:
    """The principal axes, the longer first."""
    return np.linalg.svd(places - places.mean(axis=0), full_matrices=True)[2].T


@pytest.mark.parametrize("length", [2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("kind", [k for k in DefectKind if not k.is_scratch])
def test_others_are_as_wide_and_as_high_as_they_say(kind: DefectKind, length: int) -> None:
    """Noise lets no pixel stay as it was by chance, or few."""
    picture = np.random.default_rng(1).integers(90, 166, (200, 160, 3), np.uint8)
    if kind is DefectKind.MISSING_STRUCTURE:
        picture = np.where(picture > 127, 255, 0).astype(np.uint8)
    places = changed(picture, spoilt(picture, defect_of(kind, length)))
    assert np.ptp(places, axis=0).tolist() == [length - 1, length - 1]
    area = length**2 * (1 if kind is DefectKind.STRIPES or length == 2 else np.pi / 4)
    assert len(places) == pytest.approx(area, rel=0.15)


@pytest.mark.parametrize("contrast", [0.1, 0.3])
@pytest.mark.parametrize("kind", FLAT)
def test_flat_defects_have_the_contrast_they_say(kind: DefectKind, contrast: float) -> None:
    picture = even()
    after = spoilt(picture, defect_of(kind, 16, contrast=contrast)).astype(int)
    steps = np.unique(after - 128)
    step = round(255 * contrast) * (-1 if "dark" in kind else 1)
    assert sorted(steps.tolist()) == pytest.approx(sorted([0, step]), abs=1)


@pytest.mark.parametrize("contrast", [0.1, 0.3])
def test_dents_and_stripes_are_as_dark_as_bright(contrast: float) -> None:
    for kind in (DefectKind.DENT, DefectKind.STRIPES):
        change = spoilt(even(), defect_of(kind, 32, contrast=contrast)).astype(int) - 128
        assert change.max() == pytest.approx(255 * contrast, abs=3)
        assert change.min() == pytest.approx(-255 * contrast, abs=3)
        assert change.sum() == pytest.approx(0, abs=np.abs(change).sum() / 50)


def test_a_colour_cast_keeps_the_brightness() -> None:
    change = spoilt(even(), defect_of(DefectKind.COLOUR_CAST, 16)).astype(int) - 128
    assert np.abs(change).max() == pytest.approx(255 * 0.3, abs=1)
    assert np.abs(change @ [0.299, 0.587, 0.114]).max() <= 1


def test_missing_structure_leaves_what_is_around_it() -> None:
    columns = np.where(np.arange(160) // 4 % 2, 220, 40)
    picture = np.tile(columns, (200, 1)).astype(np.uint8)
    after = spoilt(picture, defect_of(DefectKind.MISSING_STRUCTURE, 32))
    rows, columns = changed(picture, after).T
    filled = after[rows, columns].astype(float)
    assert filled.std() < 30 < picture.std()
    assert filled.mean() == pytest.approx(130, abs=15)


@pytest.mark.parametrize("kind", list(DefectKind))
@pytest.mark.parametrize("colour", [True, False])
def test_shape_and_type_stay_and_the_picture_is_not_touched(kind: DefectKind, colour: bool) -> None:
    picture = textured(colour=colour)
    before = picture.copy()
    after = spoil_picture(picture, defect_of(kind, 8), np.random.default_rng(0))
    np.testing.assert_array_equal(picture, before)
    if kind is DefectKind.COLOUR_CAST and not colour:
        assert after is None
    else:
        assert after is not None
        assert (after.shape, after.dtype) == (picture.shape, picture.dtype)
        assert len(changed(picture, after))


@given(st.integers(0, 10**6), st.sampled_from(list(DefectKind)), st.sampled_from([2, 8, 32]))
def test_the_same_seed_draws_the_same(seed: int, kind: DefectKind, length: int) -> None:
    first, again = (spoilt(textured(), defect_of(kind, length), seed) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("kind", list(DefectKind))
def test_another_seed_draws_elsewhere(kind: DefectKind) -> None:
    first, other = (spoilt(textured(), defect_of(kind, 8), seed) for seed in (1, 2))
    assert (first != other).any()


def test_a_place_that_cannot_show_a_defect_is_not_taken() -> None:
    """Half of the picture is black, where nothing can be darker."""
    picture = even(64, 64, colour=False)
    picture[:, :32] = 0
    for seed in range(20):
        places = changed(picture, spoilt(picture, defect_of(DefectKind.DARK_SPOT, 8), seed))
        assert places[:, 1].min() >= 30
    assert spoil_picture(even(grey=0), defect_of(DefectKind.DARK_SPOT, 8), np.random.default_rng(0)) is None
    assert spoil_picture(even(grey=255), defect_of(DefectKind.BRIGHT_SPOT, 8), np.random.default_rng(0)) is None
    assert spoil_picture(even(), defect_of(DefectKind.MISSING_STRUCTURE, 8), np.random.default_rng(0)) is None


def test_a_picture_that_is_too_small_shows_none() -> None:
    assert spoil_picture(even(20, 200), defect_of(DefectKind.DARK_SPOT, 21), np.random.default_rng(0)) is None
    assert spoil_picture(even(20, 200), defect_of(DefectKind.DARK_SPOT, 20), np.random.default_rng(0)) is not None


def test_seeds_of_defects_differ() -> None:
    several = [defect_of(k, n, contrast=c) for k in DefectKind for n in (2, 4) for c in (0.1, 0.3)]
    assert len({defect.seed for defect in several}) == len(set(several))


def test_the_kinds_are_none_of_those_that_training_draws() -> None:
    """Neither module uses the other, and no kind of training's is drawn here by its name."""
    assert "defect_kinds" not in _code_of(defects)
    assert "evaluation" not in _code_of(defect_kinds)
    training = set(defect_kinds.KINDS)
    assert not training & {word for kind in DefectKind for word in kind.split()}


def _code_of(module: object) -> str:
    """Without the module's docstring, which speaks of the other."""
    source = inspect.getsource(module)  # type: ignore[arg-type]
    return source.split('"""', 2)[2]
