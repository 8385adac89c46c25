"""Evidence terms, the score made of them, and the heatmap: functions of tensors and arrays, no networks."""

from anomaly.scoring.combine import TermStatistics, combine
from anomaly.scoring.heatmap import MapScale, layer_maps, patch_maps
from anomaly.scoring.terms import (
    anomaly_score,
    critic,
    cross_entropy,
    evidence_terms,
    feature_matching,
    izi_f,
    residual,
    saturating,
)

__all__ = [
    "MapScale",
    "TermStatistics",
    "anomaly_score",
    "combine",
    "critic",
    "cross_entropy",
    "evidence_terms",
    "feature_matching",
    "izi_f",
    "layer_maps",
    "patch_maps",
    "residual",
    "saturating",
]
