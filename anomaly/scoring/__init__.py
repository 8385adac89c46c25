"""Evidence terms, the score made of them, and the heatmap: functions of tensors and arrays, no networks."""

from anomaly.scoring.combine import TermStatistics, combine
from anomaly.scoring.heatmap import MapScale, auxiliary_maps, layer_maps
from anomaly.scoring.terms import (
    anomaly_score,
    critic,
    cross_entropy,
    feature_matching,
    izi_f,
    latent_norm,
    reconstruction_terms,
    residual,
    saturating,
)

__all__ = [
    "MapScale",
    "TermStatistics",
    "anomaly_score",
    "auxiliary_maps",
    "combine",
    "critic",
    "cross_entropy",
    "feature_matching",
    "izi_f",
    "latent_norm",
    "layer_maps",
    "reconstruction_terms",
    "residual",
    "saturating",
]
