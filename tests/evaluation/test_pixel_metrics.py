from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from random import Random
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from anomaly.data import Mask
from anomaly.errors import DataError
from anomaly.evaluation import pixel_metrics
from anomaly.evaluation.metrics import auroc
from anomaly.evaluation.pixel_metrics import Heatmap, MarkedHeatmap, measure_pixels
from tests.alive import Alive
from tests.evaluation.pixel_lists import aupro, pixel_auroc

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
    normal = np.concatenate([h[~m] for h, m in zip(heatmaps, masks, strict=True)])
    regions = [
        np.array([h[pixel] for pixel in region])
        for h, m in zip(heatmaps, masks, strict=True)
        for region in regions_of(m)
    ]
    return area_of_overlap(normal, regions, max_fpr)


def area_of_overlap(normal: Heatmap, regions: list[Heatmap], max_fpr: float) -> float:
    """The mean overlap of regions at every threshold, and trapezoids between, the last cut at `max_fpr`."""
    thresholds = sorted({*np.concatenate([normal, *regions])}, reverse=True)
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


@st.composite
def marked(draw: st.DrawFn) -> list[MarkedHeatmap]:
    """Those of `maps`, of which some pixels count; the first picture has a defect pixel and a normal one that do."""
    pictures = []
    for i, (heatmap, mask) in enumerate(zip(*draw(maps()), strict=True)):
        counted = draw(st.none() | hnp.arrays(np.bool_, mask.shape))
        if i == 0 and counted is not None:
            counted.flat[0] = counted.flat[-1] = True
        pictures.append(MarkedHeatmap(heatmap, mask, counted))
    return pictures


@given(marked(), st.integers(1, 30), st.integers(1, 9), st.sampled_from([0.05, 0.3, 1.0]))
def test_figures_are_the_same_however_many_pixels_are_held(
    pictures: list[MarkedHeatmap], held: int, block: int, max_fpr: float
) -> None:
    """A plain computation has all counted pixels at once."""
    with patch.multiple(pixel_metrics, _MOST_HELD=held, _BLOCK=block):
        found = measure_pixels(lambda: pictures, max_fpr=max_fpr)
    seen = [np.ones(p.mask.shape, np.bool_) if p.counted is None else p.counted for p in pictures]
    scores = np.concatenate([p.heatmap[part] for p, part in zip(pictures, seen, strict=True)])
    labels = np.concatenate([p.mask[part] for p, part in zip(pictures, seen, strict=True)])
    assert found.auroc == pytest.approx(roc_auc_score(labels, scores), rel=1e-12)
    region_values = [
        np.array([p.heatmap[pixel] for pixel in region])
        for p, part in zip(pictures, seen, strict=True)
        for region in regions_of(p.mask & part)
    ]
    assert found.aupro == pytest.approx(area_of_overlap(scores[~labels], region_values, max_fpr), rel=1e-9, abs=1e-12)


@given(marked(), st.integers(1, 30), st.randoms(use_true_random=False))
def test_the_order_of_pictures_has_no_influence(pictures: list[MarkedHeatmap], held: int, random: Random) -> None:
    shuffled = random.sample(pictures, len(pictures))
    with patch.multiple(pixel_metrics, _MOST_HELD=held):
        found, again = (measure_pixels(partial(iter, each)) for each in (pictures, shuffled))
    assert (found.auroc, found.aupro) == pytest.approx((again.auroc, again.aupro), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("held", "num_passes"), [(1000, 2), (100, 6)])
def test_few_pictures_are_in_memory_at_once(monkeypatch: pytest.MonkeyPatch, held: int, num_passes: int) -> None:
    """Twenty pictures with 25 defect pixels each: 500, held at once or in five parts."""
    monkeypatch.setattr(pixel_metrics, "_MOST_HELD", held)
    heatmaps, masks, passes = Alive(), Alive(), 0

    def pictures() -> Iterator[MarkedHeatmap]:
        nonlocal passes
        passes += 1
        rng = np.random.default_rng(0)
        for _ in range(20):
            mask = np.zeros((10, 10), np.bool_)
            mask[:5, :5] = True
            yield MarkedHeatmap(heatmaps.add(rng.random((10, 10))), masks.add(mask))

    measure_pixels(pictures)
    assert passes == num_passes
    assert heatmaps.most <= 3  # of the picture in hand, of the one before, and where the passes meet
    assert masks.most <= 3
