"""A generator of φ's maps: what E and G can't restore of a picture is not what normal pictures have there.

E compresses the maps of a whole picture to a few channels at a quarter of their side, and G draws them again from that
latent. Both learn from normal pictures, and from the same with drawn defects, of which they have to draw the normal
ones. So G can draw what normals show, in its place, and nothing else. The *residual* of a place is the cosine distance
of its features from those that G draws.
Shapes: maps (b, num_features, h/8, w/8), h and w multiples of RESTORED_STRIDE; coarse maps (b, num_features, h/16,
w/16), of the picture at half its size (b, num_features, h/32, w/32); residual (b, h/8, w/8) in [0, 2].
Source: Shi 2021 (deep feature reconstruction), §3; Deng 2022 (reverse distillation), §3.1, eq. 1 (cosine distance);
Tien 2023 (RD++), §3 (features of drawn defects are restored to the normal ones).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cosine_similarity, interpolate

from anomaly.networks.blocks import down, up

_WIDTH, _LATENT = 128, 32  # channels
_LEAST_SPREAD = 1e-3


class MapRestorer(nn.Module):
    """Maps → residual. Of maps that have further features behind the first `num_features`, these are left."""

    centre: Tensor
    spread: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(num_features))
        self.register_buffer("spread", torch.ones(num_features))
        self.E = nn.Sequential(
            down(num_features, _WIDTH, norm=True),
            down(_WIDTH, _WIDTH, norm=True),
            nn.Conv2d(_WIDTH, _LATENT, kernel_size=3, padding=1),
        )
        self.G = nn.Sequential(
            nn.Sequential(
                nn.Conv2d(_LATENT, _WIDTH, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(_WIDTH), nn.ReLU()
            ),
            up(_WIDTH, _WIDTH),
            up(_WIDTH, _WIDTH),
            nn.Conv2d(_WIDTH, num_features, kernel_size=3, padding=1),
        )

    def own(self, maps: Tensor) -> Tensor:
        """What is restored of the maps."""
        return maps[:, : len(self.centre)]

    def standardise_by(self, places: Tensor) -> None:
        """Set centre and spread of each feature to those of normal places, as they stand in the maps (n, …)."""
        own = self.own(places)
        self.centre, self.spread = own.mean(dim=0), own.std(dim=0).clamp_min(_LEAST_SPREAD)

    def coarse(self, maps: Tensor) -> Tensor:
        """The maps as they are restored: each place is the mean of four."""
        return avg_pool2d(self.own(maps), 2)

    def distance(self, seen: Tensor, wanted: Tensor) -> Tensor:
        """How far what G draws of coarse maps is from the wanted ones, at each of their places (b, h/16, w/16)."""
        return 1 - cosine_similarity(self._standardised(wanted), self.G(self.E(self._standardised(seen))), dim=1)

    def forward(self, maps: Tensor) -> Tensor:
        """See the class."""
        coarse = self.coarse(maps)
        return interpolate(self.distance(coarse, coarse)[None], scale_factor=2, mode="nearest")[0]

    def _standardised(self, coarse: Tensor) -> Tensor:
        return (coarse - self.centre[:, None, None]) / self.spread[:, None, None]


class HalfMapRestorer(MapRestorer):
    """A restorer of the picture's maps at half its size, the last features; each of its places stands four times.

    h and w are multiples of HALF_RESTORED_STRIDE.
    """

    def own(self, maps: Tensor) -> Tensor:
        """See `MapRestorer`."""
        return maps[:, -len(self.centre) :]

    def coarse(self, maps: Tensor) -> Tensor:
        """See `MapRestorer`: the four are one place."""
        return avg_pool2d(self.own(maps), 4)

    def forward(self, maps: Tensor) -> Tensor:
        """See `MapRestorer`."""
        residual = super().forward(maps)
        return interpolate(residual[:, None], scale_factor=2, mode="bilinear", align_corners=False)[:, 0]
