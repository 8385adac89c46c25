"""Scoring images with a trained bundle.

What needs torch or ONNX Runtime is imported where it is used, by its module: `torch_engine` and `torch_places`,
`onnx_engine` and `onnx_places`, `evidence_onnx`.
"""

from anomaly.inference.detector import Detector, Evidence, Explanation, Scores
from anomaly.inference.engine import Engine, EngineName
from anomaly.inference.loading import detector_of, load_detector

__all__ = [
    "Detector",
    "Engine",
    "EngineName",
    "Evidence",
    "Explanation",
    "Scores",
    "detector_of",
    "load_detector",
]
