"""The memory bank: features of normal images in D_patch, kept for each place.

The *doubt* of a place is how strongly D_patch's logits there say "defect". Its *novelty* is the distance of its
features from the nearest that the bank keeps of the same place. Both are measured in standard deviations from what
other normal images show there, and added. Novelty finds defects that resemble no synthetic one.
Shapes: logits and features as in `patches`; novelty and the anomaly of places (b, size/8, size/8).
Source: Roth 2022 (PatchCore), §3.1 (features of normals as a memory) and §3.3 (the nearest as evidence); Defard 2021
(PaDiM), §3 (of the same place).
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from anomaly.config import NetworkPlan
from anomaly.networks.auxiliary.patches import NUM_FEATURES, PatchJudgement, doubt
from anomaly.networks.frozen import Frozen

PLACE = 8  # pixels of its side
_WINDOW = 5  # places of the side of the square over which means and variances are averaged
_LEAST = 0.01  # of a deviation: normals that agree at a place do not make everything else abnormal there


class MemoryBank(Frozen):
    """Features of `plan.memory_bank` normal images, half precision; mean and deviation of other normals' evidence."""

    centre: Tensor
    spread: Tensor
    features: Tensor
    squares: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        side, num = plan.size // PLACE, plan.memory_bank
        self.register_buffer("centre", torch.zeros(NUM_FEATURES))
        self.register_buffer("spread", torch.ones(NUM_FEATURES))
        self.register_buffer("features", torch.zeros(side * side, num, NUM_FEATURES, dtype=torch.float16))
        self.register_buffer("squares", torch.zeros(side * side, 1, num))
        self.register_buffer("mean", torch.zeros(2, side, side))
        self.register_buffer("deviation", torch.ones(2, side, side))

    def remember(self, features: Tensor) -> None:
        """Keep the features (memory_bank, NUM_FEATURES, h, w) of normal images; they set the scale of each channel."""
        self.centre = features.mean(dim=(0, 2, 3))
        self.spread = features.std(dim=(0, 2, 3)).clamp_min(1e-6)
        self.features = self._by_place(features).half()
        self.squares = self.features.float().square().sum(dim=2)[:, None]

    def settle(self, evidence: Tensor) -> None:
        """Set what is usual at each place, from the evidence (n, 2, h, w) of other normal images."""
        self.mean = _smooth(evidence.mean(dim=0))
        self.deviation = _smooth(evidence.var(dim=0, correction=0)).sqrt().clamp_min(_LEAST)

    def forward(self, evidence: Tensor) -> Tensor:
        """How anomalous each place is (b, h, w), from its evidence (b, 2, h, w)."""
        return ((evidence - self.mean) / self.deviation).sum(dim=1)

    def evidence(self, judgement: PatchJudgement) -> Tensor:
        """(b, 2, h, w): doubt and novelty."""
        return torch.stack([doubt(judgement.logits), self.novelty(judgement.features)], dim=1)

    def novelty(self, features: Tensor) -> Tensor:
        """The distance of each place's features from the nearest that the bank keeps of it.

        |m|² − 2·q·m finds the nearest, but is too inexact for a small distance, which would be rounding only.
        """
        b, _, height, width = features.shape
        q, remembered = self._by_place(features), self.features.to(features.dtype)
        nearest = torch.baddbmm(self.squares, q, remembered.mT, alpha=-2).argmin(dim=2, keepdim=True)
        found = remembered.gather(1, nearest.expand(-1, -1, NUM_FEATURES))
        distance: Tensor = torch.linalg.vector_norm(q - found, dim=2)
        return distance.T.reshape(b, height, width)

    def _by_place(self, features: Tensor) -> Tensor:
        """(b, c, h, w) → (h·w, b, c), each channel standardised."""
        return ((features.flatten(2).permute(2, 0, 1) - self.centre) / self.spread).contiguous()


def _smooth(maps: Tensor) -> Tensor:
    return avg_pool2d(maps, _WINDOW, stride=1, padding=_WINDOW // 2, count_include_pad=False)
