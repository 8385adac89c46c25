"""How good a detector is, and whether the plain baselines are better: from arrays to numbers, and to a verdict."""

from anomaly.evaluation.baselines import knn_scores, pca_scores
from anomaly.evaluation.detectability import measure_detectability
from anomaly.evaluation.metrics import auroc
from anomaly.evaluation.pixel_metrics import MarkedHeatmap, measure_pixels
from anomaly.evaluation.results import (
    Baselines,
    EvaluatedModel,
    Evaluation,
    Example,
    PixelFigures,
    ScoredSplit,
    choose_examples,
)
from anomaly.evaluation.summary import metrics_of, summarise
from anomaly.evaluation.verdict import verdict_lines

__all__ = [
    "Baselines",
    "EvaluatedModel",
    "Evaluation",
    "Example",
    "MarkedHeatmap",
    "PixelFigures",
    "ScoredSplit",
    "auroc",
    "choose_examples",
    "knn_scores",
    "measure_detectability",
    "measure_pixels",
    "metrics_of",
    "pca_scores",
    "summarise",
    "verdict_lines",
]
