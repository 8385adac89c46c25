"""The figure of how small a defect is found."""

import io

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from anomaly.report.detectability import PANEL_INCHES, detectability_png
from anomaly.report.plots import DARK, DOTS_PER_INCH, LIGHT, Theme
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
