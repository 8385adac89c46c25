"""The false-discovery rate over any number of images, by how many of them have each p-value.

Conformal p-values are k / (n_cal + 1), so at most n_cal + 1 of them differ, and the counts of these decide which are
flagged: p is, where some p' ≥ p has p' · m / #{p-values ≤ p'} ≤ q, of m images.
Source: Benjamini and Hochberg 1995; the same to the last bit as `reject_fdr` over all p-values.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from anomaly.calibration.conformal import fdr_shortage_of, within_fdr


class PValueCounts:
    """How many images have the p-value k / (n_cal + 1), for each k from 1 to n_cal + 1. Takes 8 bytes for each k."""

    def __init__(self, num_calibration: int) -> None:
        self._counts = np.zeros(num_calibration + 1, dtype=np.int64)

    @staticmethod
    def of(p_values: NDArray[np.float64], num_calibration: int) -> dict[int, int]:
        """The k of some p-values, and how many have each."""
        k, num = np.unique(np.rint(p_values * (num_calibration + 1)).astype(np.int64), return_counts=True)
        return dict(zip(k.tolist(), num.tolist(), strict=True))

    def add(self, counts: Mapping[int, int]) -> None:
        """More images: how many have each k."""
        for k, num in counts.items():
            self._counts[k - 1] += num

    @property
    def num_images(self) -> int:
        """How many images there are, m."""
        return int(self._counts.sum())

    def threshold(self, q: float) -> float:
        """The largest p-value that is flagged, and with it all below; 0 where none is."""
        present = np.flatnonzero(self._counts)
        values = self._values[present]
        adjusted = values * (self.num_images / np.cumsum(self._counts[present]))
        flagged = values[within_fdr(adjusted, q)]
        return float(flagged[-1]) if len(flagged) else 0.0

    def shortage(self, q: float) -> str | None:
        """Why too few calibration images keep any image from being flagged; None where they do not."""
        if self.threshold(q):
            return None
        return fdr_shortage_of(self.num_images, int(self._counts[0]), q, len(self._counts) - 1)

    @property
    def _values(self) -> NDArray[np.float64]:
        values: NDArray[np.float64] = np.arange(1, len(self._counts) + 1) / len(self._counts)
        return values
