"""Where an image is abnormal: the pixel residual and the differences of D's features, laid over the image.

Where an auxiliary discriminator has maps, its maps are used instead.
Shapes: maps (b, size, size); features (b, channels, height, width); those of a fully connected layer have no places.
A heatmap is in units of what normal images show: 0.25 is the strongest place of an ordinary normal image (the 95th
percentile over the *select* normals), 1 is four times that. So a good image has no strong colour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

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

    def heatmap(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """(b, num_maps, size, size) → (b, size, size)."""
        heatmap: NDArray[np.float32] = (maps / self.layers[:, None, None]).mean(axis=1) * (NORMAL_PEAK / self.peak)
        return heatmap


def auxiliary_maps(maps: Sequence[Tensor], size: int) -> Tensor:
    """Maps (b, h, w), each of its own grid, as (b, num_maps, size, size)."""
    return torch.cat(
        [interpolate(grid[:, None], size=(size, size), mode="bilinear", align_corners=False) for grid in maps], dim=1
    )


def layer_maps(x: Tensor, x_hat: Tensor, features: Mapping[str, Tensor], features_hat: Mapping[str, Tensor]) -> Tensor:
    """(b, num_maps, size, size): the residual over 3 × 3 pixels, then each convolution's mean |f(x) − f(x_hat)|."""
    size = x.shape[-1]
    residual = avg_pool2d((x - x_hat).abs().mean(dim=1, keepdim=True), 3, stride=1, padding=1)
    maps = [residual]
    for layer, f in features.items():
        if f.dim() != 4:
            continue
        difference = (f.float() - features_hat[layer].float()).abs_().mean(dim=1, keepdim=True)
        maps.append(interpolate(difference, size=(size, size), mode="bilinear", align_corners=False))
    return torch.cat(maps, dim=1)
