"""The maps of which a heatmap is made: the pixel residual and the differences of D's features, laid over the image.

Where an auxiliary discriminator has maps, its maps are used instead.
Shapes: maps (b, size, size); features (b, channels, height, width); those of a fully connected layer have no places.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate


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
