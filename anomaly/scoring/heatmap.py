"""Where an image is abnormal: the scale of a heatmap, whose maps `maps` computes.

A heatmap is in units of what normal images show: 0.25 is the strongest place of an ordinary normal image (the 95th
percentile over the *select* normals, or over many of them), 1 is four times that. So a good image has no strong colour.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NORMAL_PEAK = 0.25
_SCALE_QUANTILE = 0.99
_PEAK_QUANTILE = 0.95
_DARK = np.finfo(np.float32).eps  # a layer that is 0 on normal images must not cause a division by 0


@dataclass(frozen=True)
class MapScale:
    """What normals show: a high quantile of each map (num_maps,), and of the peaks of their mean (1,)."""

    layers: NDArray[np.float32]
    peak: NDArray[np.float32]

    @classmethod
    def fit(cls, maps: NDArray[np.float32]) -> "MapScale":
        """From the layer maps (n, num_maps, size, size) of normal images."""
        layers = np.quantile(maps, _SCALE_QUANTILE, axis=(0, 2, 3)).astype(np.float32)
        layers = np.maximum(layers, _DARK)
        mean = (maps / layers[:, None, None]).mean(axis=1)
        peak = np.quantile(mean.max(axis=(1, 2)), _PEAK_QUANTILE)
        return cls(layers, np.array([max(peak, _DARK)], dtype=np.float32))

    @classmethod
    def of_peaks(cls, peaks: NDArray[np.float64]) -> "MapScale":
        """The scale of one map that is in deviations already, by its strongest places (n,) in normal images."""
        peak = max(float(np.quantile(peaks, _PEAK_QUANTILE)), _DARK)
        return cls(np.ones(1, np.float32), np.array([peak], np.float32))

    def heatmap(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """(b, num_maps, size, size) → (b, size, size)."""
        heatmap: NDArray[np.float32] = (maps / self.layers[:, None, None]).mean(axis=1) * (NORMAL_PEAK / self.peak)
        return heatmap
