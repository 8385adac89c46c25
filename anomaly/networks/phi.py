"""φ beside G, E and D: features f that are matched as D's are, x with x_hat.

φ is frozen: gradients pass through it, to x_hat and so to z and E, and change nothing in it. Each channel is in units
of its standard deviation in normal images. Otherwise the pixels would count for nothing beside φ, whose channels have
deviations of 3 to 18 where those of pixels have less than 1.
Shapes: x (b, 1 or 3, size, size) in [-1, 1], size a multiple of 16; features (b, channels, size / stride, size /
stride), strides 4, 8 and 16.
Source: Johnson 2016 (perceptual losses), §3.2, feature reconstruction.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from anomaly.config.layers import PHI_LAYERS
from anomaly.networks.frozen import Frozen
from anomaly.networks.pretrained import WIDTHS, PretrainedFeatures, load_pretrained

_LEAST_SHARE = 0.1  # of the map's mean deviation: a channel in which normals agree is not magnified without end
_LEAST = 1e-3  # where they agree in all


class PhiFeatures(Frozen):
    """x → φ's features by layer, from `phi_4` to `phi_16`."""

    def __init__(self) -> None:
        super().__init__()
        is_drawn = torch.get_default_device().type != "meta"
        with torch.random.fork_rng(devices=[], enabled=is_drawn):  # others' weights are those that they have without φ
            self.network = PretrainedFeatures()
        for layer, width in zip(PHI_LAYERS, WIDTHS.values(), strict=True):
            self.register_buffer(_spread_of(layer), torch.ones(width))
        self.freeze()

    def forward(self, x: Tensor, last: str = PHI_LAYERS[-1]) -> dict[str, Tensor]:
        """The features, of the layers up to `last`."""
        maps = self.network(x, last=list(WIDTHS)[PHI_LAYERS.index(last)])
        return {
            layer: f / self.get_buffer(_spread_of(layer))[:, None, None]
            for layer, f in zip(PHI_LAYERS, maps.values(), strict=False)
        }

    def load(self) -> None:
        """Take the weights of the package.

        Raises:
            UsageError: the extra `pretrained` is not installed, or its file is not the one that this was made for.
        """
        self.network.load_state_dict(load_pretrained().state_dict())

    @torch.no_grad()
    def standardise(self, batches: Iterable[Tensor]) -> None:
        """Set each channel's deviation to that of normal images (b, c, size, size)."""
        sums = {stride: torch.zeros(3, width, dtype=torch.float64) for stride, width in WIDTHS.items()}
        for x in batches:
            for stride, f in self.network(x).items():
                places = f.cpu().double().transpose(0, 1).flatten(1)
                sums[stride] += torch.stack([torch.ones_like(places), places, places.square()]).sum(dim=2)
        for layer, (num, total, squares) in zip(PHI_LAYERS, sums.values(), strict=True):
            variance = (squares / num - (total / num).square()).clamp_min(0)
            least = max(_LEAST_SHARE * float(variance.mean().sqrt()), _LEAST)
            self.get_buffer(_spread_of(layer)).copy_(variance.sqrt().clamp_min(least))


def _spread_of(layer: str) -> str:
    return f"spread_{layer.removeprefix('phi_')}"
