"""A discriminator learns to tell places of labelled defects from normal places.

Of a picture with a mask the marked places teach. Of one without, the places that are evident without labels teach, the
strongest ones: a defect that was missed is mostly among them.
Shapes: places (n, dimensions), whitened; pictures as `SeenPlaces`. Limit, weight, steps and the share of strongest
places were chosen by drawn defects in normal pictures (docs/experiments.md).
Source: Pang 2019 (DevNet), §3: a few labelled anomalies beside many normals; Ding 2022 (DRA), §3: they must not take
the place of what is learnt from normals.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from anomaly.networks.labelled_defects import LabelledDefects
from anomaly.torch_settings import own_draws
from anomaly.training.optimizers import descend

MARKED_SHARE = 0.25
"""Of a place's pixels that a mask marks, at least; of a mask that marks less everywhere, the places it marks most."""
_STRONGEST_SHARE = 0.03  # of the places of a picture without a mask
_BELOW_LIMIT = 0.75  # of the normal pictures
_STEPS, _BATCH, _PICTURES = 300, 512, 16  # a step has so many normal places, and half as many of up to so many pictures
_RATE, _NOISE = 1e-3, 0.5  # noise: of a whitened axis, so that few places tell of those around them too


@dataclass(frozen=True)
class SeenPlaces:
    """The places of a picture that count: q (n, dimensions), what is evident without labels (n,), what is marked (n,).

    `marked` is None without a mask.
    """

    q: Tensor
    strength: Tensor
    marked: Tensor | None = None

    def where(self, chosen: Tensor) -> "SeenPlaces":
        """These places only, by their rows or by bool (n,)."""
        return SeenPlaces(self.q[chosen], self.strength[chosen], None if self.marked is None else self.marked[chosen])

    def for_teaching(self) -> "SeenPlaces":
        """What teaches: the marked places, none where nothing is marked that counts; without a mask the strongest."""
        if self.marked is None:
            return self.where(self.strength.topk(max(round(_STRONGEST_SHARE * len(self.strength)), 1)).indices)
        most = float(self.marked.max()) if len(self.marked) else 0.0
        return self.where((self.marked > 0) & (self.marked >= min(MARKED_SHARE, most)))


def learn_labelled(normal: Tensor, defects: Sequence[SeenPlaces], seed: int) -> LabelledDefects:
    """Learnt from normal places and what teaches of pictures of defects; the limit is still open (see `set_limits`)."""
    with own_draws(normal.device):
        torch.manual_seed(seed)
        labelled = LabelledDefects(normal.shape[1])
        optimizer = torch.optim.AdamW(labelled.D.parameters(), lr=_RATE)
        each = max(_BATCH // 2 // min(len(defects), _PICTURES), 1)
        for _ in range(_STEPS):
            drawn = torch.randperm(len(defects))[:_PICTURES].tolist()
            examples = torch.cat([_some(defects[number].q, each) for number in drawn])
            of_normals, of_defects = (
                _likeness(labelled, places + _NOISE * torch.randn_like(places))
                for places in (_some(normal, _BATCH), examples)
            )
            loss = softplus(of_normals).mean() + softplus(-of_defects).mean()
            descend(optimizer, loss)
    return labelled.eval().requires_grad_(False)


@torch.no_grad()
def set_limits(learnt: Sequence[LabelledDefects], normals: Iterable[SeenPlaces]) -> None:
    """Set mean, deviation and limit of each, by what it says of normal pictures that taught none of them."""
    means, squares, peaks = [], [], []
    for seen in normals:
        likeness = torch.stack([_likeness(each, seen.q) for each in learnt])
        means.append(likeness.mean(dim=1))
        squares.append(likeness.square().mean(dim=1))
        peaks.append(likeness.amax(dim=1))
    mean = torch.stack(means).mean(dim=0)
    deviation = (torch.stack(squares).mean(dim=0) - mean.square()).clamp_min(1e-6).sqrt()
    limit = (torch.stack(peaks).quantile(_BELOW_LIMIT, dim=0) - mean) / deviation
    for number, each in enumerate(learnt):
        each.mean, each.deviation, each.limit = mean[number], deviation[number], limit[number]


@torch.no_grad()
def score_of(labelled: LabelledDefects, seen: SeenPlaces) -> float:
    """That of the picture: its strongest place, with what the labels have taught."""
    return float((seen.strength + labelled(_as_map(seen.q)).flatten()).max())


def _some(places: Tensor, num: int) -> Tensor:
    return places[torch.randint(len(places), (num,))]


def _likeness(labelled: LabelledDefects, places: Tensor) -> Tensor:
    return labelled.likeness(_as_map(places)).flatten()


def _as_map(places: Tensor) -> Tensor:
    """(n, dimensions) as (1, dimensions, n, 1)."""
    return places.T[None, :, :, None]
