"""The use cases, one a module: each is the whole path from what a user names to what a user keeps.

This is the only place where training, inference and evaluation meet.
"""

from anomaly.pipeline.calibrate import CalibrationSummary, calibrate_bundle
from anomaly.pipeline.evaluate import EvaluationSummary, evaluate_bundle
from anomaly.pipeline.inspect import InspectSummary, inspect_bundle
from anomaly.pipeline.score import ScoreSummary, score_paths
from anomaly.pipeline.train import TrainOptions, TrainSummary, TrainWatch, train_bundle
from anomaly.pipeline.upgrade import upgrade_bundle

__all__ = [
    "CalibrationSummary",
    "EvaluationSummary",
    "InspectSummary",
    "ScoreSummary",
    "TrainOptions",
    "TrainSummary",
    "TrainWatch",
    "calibrate_bundle",
    "evaluate_bundle",
    "inspect_bundle",
    "score_paths",
    "train_bundle",
    "upgrade_bundle",
]
