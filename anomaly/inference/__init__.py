"""Scoring images with a trained bundle."""

from anomaly.inference.detector import ALPHA, Detector, Evidence, Explanation, Scores
from anomaly.inference.graph import EvidenceGraph
from anomaly.inference.loading import load_detector
from anomaly.inference.observer import BATCH_GRAIN, Observer

__all__ = [
    "ALPHA",
    "BATCH_GRAIN",
    "Detector",
    "Evidence",
    "EvidenceGraph",
    "Explanation",
    "Observer",
    "Scores",
    "load_detector",
]
