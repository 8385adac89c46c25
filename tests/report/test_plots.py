import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from anomaly.evaluation.intervals import Labels
from anomaly.evaluation.metrics import ScoreArray
from anomaly.report import histogram
from anomaly.report.histogram import histogram_png, visible_range
from anomaly.report.plots import DARK, LIGHT, Theme, precision_recall_png, roc_png

Draw = Callable[[ScoreArray, Labels, float | None, Theme], bytes]

LABELS = np.arange(40) >= 20
SCORES = np.random.default_rng(0).normal(size=40) + LABELS


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved from now on."""
    figures: list[Figure] = []
    save = Figure.savefig

    def remember(figure: Figure, *args: Any, **options: Any) -> None:
        figures.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", remember)
    return figures


def num_pixels_like(png: bytes, colour: str) -> int:
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(pixels(png) - rgb).max(axis=2) <= 2).sum())


@pytest.mark.parametrize("draw", [roc_png, precision_recall_png, histogram_png])
@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_figures_have_their_theme(draw: Draw, theme: Theme) -> None:
    png = draw(SCORES, LABELS, 0.5, theme)
    assert pixels(png)[0, 0].tolist() == [int(theme.paper[i : i + 2], 16) for i in (1, 3, 5)]
    assert num_pixels_like(png, theme.normal) > 200


@pytest.mark.parametrize("draw", [roc_png, precision_recall_png])
def test_the_point_in_force_is_marked(draw: Draw) -> None:
    """Curves are blue; the point is the only thing in orange."""
    with_threshold = num_pixels_like(draw(SCORES, LABELS, 0.5, LIGHT), LIGHT.anomalous)
    without = num_pixels_like(draw(SCORES, LABELS, None, LIGHT), LIGHT.anomalous)
    assert with_threshold > 100 > without == 0


def test_no_alarm_at_all_has_no_precision_to_mark() -> None:
    png = precision_recall_png(SCORES, LABELS, 99.0, LIGHT)
    assert num_pixels_like(png, LIGHT.anomalous) == 0


@pytest.mark.parametrize("draw", [roc_png, precision_recall_png])
def test_axes_of_shares_are_equally_long(draw: Draw, drawn: list[Figure]) -> None:
    draw(SCORES, LABELS, 0.5, LIGHT)
    (axes,) = drawn[0].axes
    (left, bottom), (right, top) = axes.transData.transform([(0, 0), (1, 1)])
    assert right - left == pytest.approx(top - bottom)


@pytest.mark.parametrize("share", np.linspace(0, 1, 11))
def test_the_words_at_the_point_in_force_stay_within_the_figure(share: float, drawn: list[Figure]) -> None:
    scores = np.concatenate([np.arange(10) < 10 * share, np.arange(20) < 20 * share]).astype(float)
    labels = np.arange(30) >= 10
    for draw in (roc_png, precision_recall_png):
        draw(scores, labels, 0.5, LIGHT)
        for text in drawn[-1].axes[0].texts:
            box, whole = text.get_window_extent(), drawn[-1].bbox
            assert whole.x0 <= box.x0 < box.x1 <= whole.x1
            assert whole.y0 <= box.y0 < box.y1 <= whole.y1


def test_a_share_that_is_not_all_is_not_100_percent(drawn: list[Figure]) -> None:
    labels = np.arange(20_000) >= 10_000
    scores = labels.astype(float) + np.where(np.arange(20_000) == 0, 2.0, 0.0)  # one normal is above all anomalies
    roc_png(scores, labels, 0.5)
    told = [text.get_text() for text in drawn[0].axes[0].texts]
    assert told == ["AUROC 99.99%", "threshold in force\nfalse alarms 0.01%\nfound 100.0%"]


def test_histogram_shows_the_threshold() -> None:
    assert histogram_png(SCORES, LABELS, 0.5) != histogram_png(SCORES, LABELS, 0.6)


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> Axes:
    """The axes that the next histogram is drawn on."""
    drawn_on = Figure().add_subplot()

    def draw_here(title: str, draw: Callable[[Axes], None], theme: Theme) -> bytes:
        draw(drawn_on)
        return b""

    monkeypatch.setattr(histogram, "draw_png", draw_here)
    return drawn_on


def test_histogram_tells_what_lies_beyond_its_axis(axes: Axes) -> None:
    scores = SCORES.copy()
    scores[[0, 20, 21, 22]] = [-1e9, 1e6, 1e9, 1e12]
    before = scores.copy()
    histogram_png(scores, LABELS, 0.5)
    assert [text.get_text() for text in axes.texts] == [
        "beyond the axis:\n5.0% of normals",
        "beyond the axis:\n15.0% of anomalies",
    ]
    assert max(map(abs, axes.get_xlim())) < 1e3
    np.testing.assert_array_equal(before, scores)


def test_an_axis_of_shares_names_no_share_above_all(axes: Axes) -> None:
    histogram_png(np.array([0.0, 0.0, 1.0, 1.0]), np.arange(4) >= 2, None)
    assert axes.get_ylim()[1] > 1.2
    assert [axes.yaxis.get_major_formatter()(share, 0) for share in (0.8, 1.0, 1.2)] == ["80%", "100%", ""]


def test_histogram_hides_nothing_without_need(axes: Axes) -> None:
    histogram_png(SCORES, LABELS, None)
    low, high = axes.get_xlim()
    assert not axes.texts
    assert low < SCORES.min() < SCORES.max() < high


def test_axis_keeps_the_normals_legible_beside_far_anomalies() -> None:
    scores = np.where(LABELS, 1e6, SCORES)
    low, high = visible_range(scores, LABELS, 2.0)
    normals = np.quantile(scores[~LABELS], [0.05, 0.95])
    assert (normals[1] - normals[0]) / (high - low) > 0.1
    assert low < normals[0] < 2.0 < high


def test_axis_ends_where_scores_end() -> None:
    low, high = visible_range(np.array([0.0, 1.0, 2.0]), np.array([False, False, True]), None)
    assert (low, high) == pytest.approx((-0.06, 2.06))


@given(st.floats(-1e6, 1e6), st.none() | st.floats(-1e6, 1e6))
def test_axis_has_a_length_even_where_all_scores_are_alike(value: float, threshold: float | None) -> None:
    low, high = visible_range(np.full(4, value), np.array([True, False, False, True]), threshold)
    assert low < value < high
    assert threshold is None or low < threshold < high


@given(st.lists(st.floats(-1e9, 1e9), min_size=4, max_size=4), st.none() | st.floats(-1e9, 1e9))
@settings(max_examples=4)
def test_any_scores_can_be_drawn(values: list[float], threshold: float | None) -> None:
    labels = np.array([True, False, False, True])
    for draw in (roc_png, precision_recall_png, histogram_png):
        assert draw(np.array(values), labels, threshold).startswith(b"\x89PNG")
