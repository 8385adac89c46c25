"""The places that a memory keeps.

Source: Roth 2022 (PatchCore), §3.2 (greedy coreset); Johnson and Lindenstrauss 1984 (random projections).
"""

import torch
from torch import Tensor

_PROJECTED = 32  # dimensions in which distances are measured


def coreset(places: Tensor, num: int) -> Tensor:
    """Rows of at most `num` places, each the farthest from those before it; all rows where there are no more.

    Distances are measured in a random projection, which nearly keeps them.
    """
    generator = torch.Generator().manual_seed(0)
    axes = torch.randn(places.shape[1], _PROJECTED, generator=generator) / _PROJECTED**0.5
    projected = places @ axes
    squares = projected.square().sum(dim=1)
    distance = torch.full((len(places),), torch.inf)
    chosen = [0]
    while len(chosen) < min(num, len(places)):
        last = chosen[-1]
        distance = torch.minimum(distance, squares + squares[last] - 2 * (projected @ projected[last]))
        chosen.append(int(distance.argmax()))
    return torch.tensor(chosen)
