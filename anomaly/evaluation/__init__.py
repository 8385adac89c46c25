"""How good a detector is, and whether the plain baselines are better: from arrays to numbers, figures and a page."""

from anomaly.evaluation.baselines import knn_scores, pca_scores
from anomaly.evaluation.metrics import auroc
from anomaly.evaluation.pictures import overlay
from anomaly.evaluation.pixel_metrics import aupro, pixel_auroc
from anomaly.evaluation.report import write_report
from anomaly.evaluation.results import Evaluation, Example, choose_examples

__all__ = [
    "Evaluation",
    "Example",
    "aupro",
    "auroc",
    "choose_examples",
    "knn_scores",
    "overlay",
    "pca_scores",
    "pixel_auroc",
    "write_report",
]
