"""The figure of how small a defect is found."""

import io
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from anomaly.report import detectability
from anomaly.report.detectability import PANEL_INCHES, detectability_png
from anomaly.report.plots import DARK, DOTS_PER_INCH, LIGHT, Theme, put_legend
from tests.bundle.records import make_cell, make_record


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_there_is_a_panel_a_kind_in_the_theme(theme: Theme) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(detectability_png(make_record(), theme))).convert("RGB"))
    assert pixels[0, 0].tolist() == [int(theme.paper[i : i + 2], 16) for i in (1, 3, 5)]
    width, height = (round(inches * DOTS_PER_INCH) for inches in PANEL_INCHES)
    assert pixels.shape == (height, 2 * width, 3)


def test_curves_are_shares_with_their_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(Axes, "errorbar", lambda axes, x, y, **more: drawn.append((x, y, more)))
    cells = [make_cell(length=4, found=5, low=0.1, high=0.6), make_cell(length=2, found=0, low=0.0, high=0.3)]
    detectability_png(make_record(cells=cells))
    ((x, y, more),) = drawn
    assert x.tolist() == [2, 4]
    assert y.tolist() == [0, 0.25]
    np.testing.assert_allclose(more["yerr"], [[0, 0.15], [0.3, 0.35]])


def test_a_legend_lies_over_no_bar_and_no_title(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Axes] = []

    def put_and_keep(axes: Axes, theme: Theme, **more: Any) -> None:
        found.append(axes)
        put_legend(axes, theme, **more)

    monkeypatch.setattr(detectability, "put_legend", put_and_keep)
    kinds = ("bright scratch", "colour cast", "missing structure")
    cells = [
        make_cell(kind=kind, length=length, contrast=contrast, low=0.0, high=1.0)  # no room within the axes
        for kind in kinds
        for contrast in (0.3, 0.1)
        for length in (8, 16, 32)
    ]
    detectability_png(make_record(cells=cells))
    assert len(found) == len(kinds)
    for panel in found:
        legend = panel.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.texts] == ["contrast 30%", "contrast 10%"]
        box, title = legend.get_window_extent(), panel._left_title.get_window_extent()  # type: ignore[attr-defined]
        assert panel.bbox.y1 <= box.y0
        assert box.y1 <= title.y0
        assert panel.bbox.x0 - 1 <= box.x0
        assert box.x1 <= panel.bbox.x1 + 1
