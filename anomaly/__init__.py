"""Learns what normal images look like from normal images alone, and tells of any new image how abnormal it is.

detector = anomaly.load_detector("models/mnist")
scores = detector.score(["part.png"])
scores.score, scores.p_value, scores.is_anomalous, scores.terms["residual"], scores.heatmap
"""

from importlib import import_module
from typing import TYPE_CHECKING

from anomaly.errors import AnomalyError

if TYPE_CHECKING:
    from anomaly.inference import Detector, Scores, load_detector

__all__ = ["AnomalyError", "Detector", "Scores", "load_detector"]


def __getattr__(name: str) -> object:
    """The detector's names are loaded when they are first used, so that `anomaly --help` need not wait for torch."""
    if name in __all__:
        return getattr(import_module("anomaly.inference"), name)
    raise AttributeError(f"module 'anomaly' has no attribute {name!r}")
