"""Held-out normal images turn raw scores into p-values, thresholds, false-discovery control and an alarm for drift."""

from anomaly.calibration.conformal import (
    Calibration,
    Verdict,
    check_alpha,
    check_fdr,
    false_alarms_by_chance,
    fdr_shortage,
    is_above,
    num_allowed,
    num_needed,
    reject_fdr,
)
from anomaly.calibration.drift import Drift, Martingale, generator_of, spread_below
from anomaly.calibration.p_value_counts import PValueCounts
from anomaly.calibration.ranks import OnlineRanks

__all__ = [
    "Calibration",
    "Drift",
    "Martingale",
    "OnlineRanks",
    "PValueCounts",
    "Verdict",
    "check_alpha",
    "check_fdr",
    "false_alarms_by_chance",
    "fdr_shortage",
    "generator_of",
    "is_above",
    "num_allowed",
    "num_needed",
    "reject_fdr",
    "spread_below",
]
