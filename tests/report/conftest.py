import pytest

from anomaly.evaluation.intervals import Labels
from anomaly.evaluation.metrics import ScoreArray
from anomaly.report import page
from anomaly.report.plots import Theme


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a page's figures empty: drawing them takes most of the time of a test that is about something else."""

    def draw_nothing(scores: ScoreArray, labels: Labels, threshold: float | None, theme: Theme) -> bytes:
        return b""

    for name in ("roc_png", "precision_recall_png", "histogram_png"):
        monkeypatch.setattr(page, name, draw_nothing)
