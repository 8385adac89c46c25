from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anomaly.data import Mask
from anomaly.errors import DataError
from anomaly.evaluation.metrics import auroc
from anomaly.evaluation.pixel_metrics import Heatmap, aupro, pixel_auroc

Maps = tuple[list[Heatmap], list[Mask]]


@st.composite
def maps(draw: st.DrawFn) -> Maps:
    """A few tiny heatmaps of several sizes, with many ties, and masks that have both sorts of pixels."""
    heatmaps, masks = [], []
    for i in range(draw(st.integers(1, 3))):
        shape = draw(st.tuples(st.integers(2, 5), st.integers(2, 5)))
        heatmaps.append(draw(hnp.arrays(np.float64, shape, elements=st.integers(0, 6).map(float))))
        mask = draw(hnp.arrays(np.bool_, shape))
        mask.flat[0], mask.flat[-1] = (True, False) if i == 0 else (mask.flat[0], mask.flat[-1])
        masks.append(mask)
    return heatmaps, masks


def regions_of(mask: Mask) -> list[set[tuple[int, int]]]:
    """Components by flooding, diagonal neighbours included."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    regions = []
    while left:
        region, border = set(), [left.pop()]
        while border:
            y, x = border.pop()
            region.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            border += near
        regions.append(region)
    return regions


def naive_aupro(heatmaps: list[Heatmap], masks: list[Mask], max_fpr: float) -> float:
    """The mean overlap of regions at every threshold, and trapezoids between, the last cut at `max_fpr`."""
    normal = np.concatenate([h[~m] for h, m in zip(heatmaps, masks, strict=True)])
    regions = [
        np.array([h[pixel] for pixel in region])
        for h, m in zip(heatmaps, masks, strict=True)
        for region in regions_of(m)
    ]
    thresholds = sorted(set(np.concatenate([h.ravel() for h in heatmaps])), reverse=True)
    curve = [(0.0, 0.0)]
    curve += [((normal >= t).mean(), float(np.mean([(region >= t).mean() for region in regions]))) for t in thresholds]
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 >= max_fpr or x1 == x0:
            continue
        end = min(x1, max_fpr)
        y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    return area / max_fpr


@given(maps(), st.sampled_from([0.05, 0.3, 0.7, 1.0]))
def test_aupro_agrees_with_its_definition_at_every_threshold(drawn: Maps, max_fpr: float) -> None:
    heatmaps, masks = drawn
    assert naive_aupro(heatmaps, masks, max_fpr) == pytest.approx(aupro(heatmaps, masks, max_fpr=max_fpr))


@given(maps())
def test_pixel_auroc_is_the_auroc_of_all_pixels(drawn: Maps) -> None:
    heatmaps, masks = drawn
    scores, labels = np.concatenate([h.ravel() for h in heatmaps]), np.concatenate([m.ravel() for m in masks])
    assert auroc(scores, labels) == pytest.approx(pixel_auroc(heatmaps, masks))


@given(maps())
def test_only_the_order_of_values_matters(drawn: Maps) -> None:
    heatmaps, masks = drawn
    transformed = [np.exp(heatmap) - 5 for heatmap in heatmaps]
    assert aupro(heatmaps, masks) == aupro(transformed, masks)
    assert pixel_auroc(heatmaps, masks) == pixel_auroc(transformed, masks)


@given(maps())
def test_perfect_maps_reach_one_and_inverted_ones_nothing(drawn: Maps) -> None:
    _, masks = drawn
    perfect = [mask.astype(np.float32) for mask in masks]
    assert aupro(perfect, masks) == pytest.approx(1) == pixel_auroc(perfect, masks)
    inverted = [-heatmap for heatmap in perfect]
    assert aupro(inverted, masks) == 0 == pixel_auroc(inverted, masks)


def test_random_maps_reach_half_of_the_rate() -> None:
    rng = np.random.default_rng(0)
    heatmaps = [rng.random((60, 40)).astype(np.float32) for _ in range(20)]
    masks = [np.zeros((60, 40), dtype=np.bool_) for _ in heatmaps]
    for mask in masks:
        mask[5:25, 8:30] = True
    assert aupro(heatmaps, masks) == pytest.approx(0.15, abs=0.02)
    assert pixel_auroc(heatmaps, masks) == pytest.approx(0.5, abs=0.02)


def test_a_large_region_does_not_hide_a_small_missed_one() -> None:
    mask = np.zeros((20, 20), dtype=np.bool_)
    mask[:10, :10] = mask[19, 19] = True
    heatmap = np.zeros((20, 20))
    heatmap[:10, :10] = 1
    heatmap[19, 19] = -1
    assert aupro([heatmap], [mask]) == pytest.approx(0.5)
    assert pixel_auroc([heatmap], [mask]) == pytest.approx(100 / 101)


def test_images_without_a_defect_count_for_false_positives() -> None:
    mask = np.array([[True, False]])
    alarm = [np.array([[1.0, 0.0]]), np.array([[2.0, 2.0]])]
    assert aupro(alarm, [mask, np.array([[False, False]])]) == 0


@pytest.mark.parametrize("value", [True, False])
def test_pixels_of_one_sort_are_refused(value: bool) -> None:
    with pytest.raises(DataError, match="some of each"):
        pixel_auroc([np.zeros((2, 2))], [np.full((2, 2), value)])


def test_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="some of each"):
        aupro([], [])


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="Heatmap 0"):
        aupro([np.array([[np.nan, 1.0]])], [np.array([[True, False]])])


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="must agree"):
        aupro([np.zeros((2, 3))], [np.ones((3, 2), dtype=np.bool_)])


@pytest.mark.parametrize("max_fpr", [0.0, 1.5])
def test_rates_out_of_range_are_refused(max_fpr: float) -> None:
    with pytest.raises(ValueError, match="max_fpr"):
        aupro([np.array([[0.0, 1.0]])], [np.array([[False, True]])], max_fpr=max_fpr)


@given(maps(), st.data())
def test_pixels_that_do_not_count_might_as_well_not_be_there(drawn: Maps, data: st.DataObject) -> None:
    heatmaps, masks = drawn
    counted = [data.draw(hnp.arrays(np.bool_, mask.shape)) for mask in masks]
    for mask, part in zip(masks[:1], counted, strict=False):
        part.flat[0] = part.flat[-1] = True
        assert mask.flat[0]
    scores = np.concatenate([h[c] for h, c in zip(heatmaps, counted, strict=True)])
    labels = np.concatenate([m[c] for m, c in zip(masks, counted, strict=True)])
    assert auroc(scores, labels) == pytest.approx(pixel_auroc(heatmaps, masks, counted))
    noise = [np.where(c, h, data.draw(st.floats(-9, 9))) for h, c in zip(heatmaps, counted, strict=True)]
    assert aupro(noise, masks, counted) == aupro(heatmaps, masks, counted)


def test_a_defect_counts_with_its_part_inside() -> None:
    """Two defects: one half outside, where the map is blind; one wholly outside."""
    mask = np.zeros((6, 6), np.bool_)
    mask[1, 1:5] = mask[5, 3:] = True
    counted = np.zeros((6, 6), np.bool_)
    counted[:, :3] = True
    heatmap = (mask & counted).astype(np.float64)
    assert aupro([heatmap], [mask], [counted]) == 1
    assert aupro([heatmap], [mask]) < 0.5
