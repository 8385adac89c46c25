"""Held-out normal images turn raw scores into p-values, thresholds, false-discovery control and an alarm for drift."""

from anomaly.calibration.conformal import Calibration, check_alpha, fdr_shortage, num_needed, reject_fdr
from anomaly.calibration.drift import Drift, Martingale
from anomaly.calibration.ranks import OnlineRanks

__all__ = [
    "Calibration",
    "Drift",
    "Martingale",
    "OnlineRanks",
    "check_alpha",
    "fdr_shortage",
    "num_needed",
    "reject_fdr",
]
