"""How good a detector is, and whether the plain baselines are better: from arrays to numbers, figures and a page."""

from anomaly.evaluation.baselines import knn_scores, pca_scores
from anomaly.evaluation.curves import curves_png
from anomaly.evaluation.metrics import auroc
from anomaly.evaluation.pictures import overlay, to_pixels
from anomaly.evaluation.pixel_metrics import aupro, pixel_auroc
from anomaly.evaluation.plots import LIGHT
from anomaly.evaluation.report import write_folder, write_report
from anomaly.evaluation.results import Evaluation, Example, choose_examples
from anomaly.evaluation.sheets import Sheet, Text, heat_tiles, to_tiles

__all__ = [
    "LIGHT",
    "Evaluation",
    "Example",
    "Sheet",
    "Text",
    "aupro",
    "auroc",
    "choose_examples",
    "curves_png",
    "heat_tiles",
    "knn_scores",
    "overlay",
    "pca_scores",
    "pixel_auroc",
    "to_pixels",
    "to_tiles",
    "write_folder",
    "write_report",
]
