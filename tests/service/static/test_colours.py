"""One colour map everywhere: the page's is that of reports and of `anomaly score --heatmaps`."""

import re
from pathlib import Path

import matplotlib
import numpy as np

from anomaly.report.heat import COLOUR_MAP, FIRST_COLOUR

ROOT = Path(__file__).parents[3]


def test_heat_has_the_colours_of_the_reports() -> None:
    script = (ROOT / "service" / "static" / "heat.js").read_text("utf-8")
    stops = re.findall(r'"([0-9a-f]{6})"', script)
    assert len(stops) == 9
    found = np.array([[int(stop[at : at + 2], 16) for at in (0, 2, 4)] for stop in stops])
    places = FIRST_COLOUR + (1 - FIRST_COLOUR) * np.linspace(0, 1, len(stops))
    expected = matplotlib.colormaps[COLOUR_MAP](places)[:, :3] * 255
    assert np.abs(found - expected).max() < 1
