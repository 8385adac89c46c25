"""The engines of detectors, by their own types."""

from pathlib import Path

from anomaly.inference import Detector, load_detector
from anomaly.inference.torch_engine import TorchEngine


def engine_of(detector: Detector) -> TorchEngine:
    """That of a detector that torch runs."""
    assert isinstance(detector.engine, TorchEngine)
    return detector.engine


def by_torch(folder: Path) -> Detector:
    """A detector that torch runs on the CPU."""
    return load_detector(folder, device="cpu", engine="torch")
