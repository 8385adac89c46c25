"""D_patch learns from normal images with synthetic defects, and masks of them. A memory bank may be added.

An image with synthetic defects is called spoilt.
Shapes: x (b, c, size, size) in [-1, 1]; images (n, c, size, size); spoilt pixels (n, size, size), 1 or 0.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool2d, softplus

from anomaly.config import NetworkPlan
from anomaly.config.region import OUTSIDE
from anomaly.networks.auxiliary.memory_bank import MemoryBank
from anomaly.networks.auxiliary.patches import PatchDiscriminator, doubt, standardise
from anomaly.networks.auxiliary.protocol import Auxiliary, AuxiliaryEvidence, Batches
from anomaly.runtime import seed_of, to_float, widened

MIN_IMAGES, MAX_IMAGES = 6, 24  # a step; between them as many as have MAX_PIXELS
MAX_PIXELS = 6 * 256**2
SPOILT_WEIGHT = 3.0
_TRIES = 10  # until a defect can be seen inside the region


class SyntheticDefects(Auxiliary):
    """The term is the most anomalous place; the maps are the doubt and, with a memory bank, the novelty."""

    name = "synthetic_defects"

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.discriminator = PatchDiscriminator(plan)
        self.has_region = plan.has_region
        self.memory_bank = MemoryBank(plan) if plan.memory_bank else None

    def examples(self, x: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """Normal and spoilt images, and their spoilt pixels.

        Images are spoilt after they were standardised, so that defects are as clear in dark images. Where there is a
        region, nothing outside of it is spoilt.
        """
        rng = np.random.default_rng(seed_of("negatives", seed, step))
        inside = _inside(x) if self.has_region else None
        images, spoilt = _examples(standardise(x).cpu().numpy(), rng, inside)
        return images.to(x), spoilt.to(x)

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """The loss of D_patch, which tells normal places from spoilt ones."""
        logits = widened(self.discriminator(images).logits)
        return patch_loss(logits, max_pool2d(targets, images.shape[-1] // logits.shape[-1]))

    @torch.no_grad()
    def settle(self, plan: NetworkPlan, train: Batches, select: Batches) -> None:
        """Fill the memory bank, if there is one, with features of *train* images; scale it by the *select* images."""
        if not plan.memory_bank:
            return
        bank = MemoryBank(plan)
        bank.remember(torch.cat([self.discriminator(x).features.cpu() for x in train(plan.memory_bank)]))
        self.memory_bank = bank.to(next(self.discriminator.parameters()).device)
        bank.settle(torch.cat([bank.evidence(self.discriminator(x)) for x in select(None)]))

    def forward(self, x: Tensor) -> AuxiliaryEvidence:
        """The evidence of D_patch and of the memory bank, for each place."""
        judgement = self.discriminator(x)
        doubt_map = softplus(-judgement.logits)
        if self.memory_bank is None:
            return AuxiliaryEvidence(_peak(doubt(judgement.logits)), (doubt_map,))
        evidence = self.memory_bank.evidence(judgement)
        return AuxiliaryEvidence(_peak(self.memory_bank(evidence)), (doubt_map, evidence[:, 1]))

    @staticmethod
    def num_maps(plan: NetworkPlan) -> int:
        """The doubt, and with a memory bank the novelty."""
        return 1 + bool(plan.memory_bank)


def patch_loss(logits: Tensor, spoilt: Tensor) -> Tensor:
    """What D_patch minimises: −E log D where x is normal, −3·E log(1 − D) where it is spoilt, which is rarer.

    logits, high for normal, and `spoilt`, 1 or 0: (b, h, w).
    """
    return ((1 - spoilt) * softplus(-logits) + SPOILT_WEIGHT * spoilt * softplus(logits)).mean()


def _peak(places: Tensor) -> Tensor:
    """That of the most anomalous place (b, h, w)."""
    return places.flatten(1).amax(dim=1)


def _inside(x: Tensor) -> NDArray[np.bool_]:
    """Which pixels lie inside of the region (b, h, w): what lies outside was made grey (see `data.preprocess`)."""
    levels = torch.tensor([OUTSIDE, OUTSIDE + 1], dtype=torch.uint8).reshape(2, 1, 1, 1)
    grey, next_level = to_float(levels).flatten().tolist()
    inside: NDArray[np.bool_] = ((x - grey).abs() > (next_level - grey) / 2).any(dim=1).cpu().numpy()
    return inside


def _examples(
    x: NDArray[np.float32], rng: np.random.Generator, inside: NDArray[np.bool_] | None = None
) -> tuple[Tensor, Tensor]:
    """A third of the images unchanged, then spoilt ones, only `inside` (b, h, w); and where they are spoilt."""
    num = min(max(MAX_PIXELS // x.shape[-1] ** 2, MIN_IMAGES), MAX_IMAGES)
    rows, donors = rng.integers(len(x), size=(2, num))
    images, masks = [], []
    for index, (row, donor) in enumerate(zip(rows, donors, strict=True)):
        if 3 * index < num:
            spoilt, mask = x[row], np.zeros(x.shape[2:], np.bool_)
        else:
            spoilt, mask = _spoilt(x[row], x[donor], rng, None if inside is None else inside[row])
        images.append(spoilt)
        masks.append(mask)
    channels_last = torch.from_numpy(np.stack(images)).contiguous(memory_format=torch.channels_last)
    return channels_last, torch.from_numpy(np.stack(masks).astype(np.float32))


def _spoilt(
    image: NDArray[np.float32], donor: NDArray[np.float32], rng: np.random.Generator, inside: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """See `spoil`; with a region drawn anew while nothing can be seen, since most of a defect may lie outside."""
    from anomaly.networks.auxiliary.defect_kinds import spoil  # here: scoring needs no scipy for it

    for _ in range(1 if inside is None else _TRIES):
        spoilt, mask = spoil(image, donor, rng, inside=inside)
        if mask.any():
            break
    return spoilt, mask
