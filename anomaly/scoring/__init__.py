"""Evidence terms, the score made of them, and the heatmap: functions of tensors and arrays, no networks.

`terms` and `maps` are of torch tensors, and imported as modules by what runs the networks. The names here are of
arrays: whatever computed the terms, the score is made of them without torch.
"""

from anomaly.scoring.combine import TermStatistics, combine, outlying_above
from anomaly.scoring.heatmap import MapScale
from anomaly.scoring.strongest import StrongestPlace, strongest_place

__all__ = ["MapScale", "StrongestPlace", "TermStatistics", "combine", "outlying_above", "strongest_place"]
