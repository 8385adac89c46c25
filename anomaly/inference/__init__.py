"""Scoring images with a trained bundle."""

from anomaly.inference.detector import ALPHA, Detector, Evidence, Scores
from anomaly.inference.loading import load_detector
from anomaly.inference.passes import BATCH_GRAIN, Passes, Reconstruction

__all__ = ["ALPHA", "BATCH_GRAIN", "Detector", "Evidence", "Passes", "Reconstruction", "Scores", "load_detector"]
