"""Held-out normal images turn raw scores into p-values, thresholds and false-discovery control."""

from anomaly.calibration.conformal import Calibration, check_alpha, fdr_shortage, num_needed, reject_fdr

__all__ = ["Calibration", "check_alpha", "fdr_shortage", "num_needed", "reject_fdr"]
