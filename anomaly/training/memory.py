"""After training: D_patch's features of normal images are remembered, and what it says of others of them.

Shapes: pixels (n, c, size, size) uint8; train, select: indices of the images that trained and of those that select.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.config import MAX_REMEMBERED
from anomaly.networks import Networks, PatchDiscriminator, PatchJudgement, PatchMemory
from anomaly.runtime import to_float

_BATCH_SIZE = 16


@torch.no_grad()
def remember(
    networks: Networks,
    pixels: NDArray[np.uint8],
    train: NDArray[np.int64],
    select: NDArray[np.int64],
    device: torch.device,
) -> None:
    """Give networks that have a D_patch a memory: of all that trained, or of MAX_REMEMBERED evenly among them."""
    assert networks.D_patch is not None
    num = min(len(train), MAX_REMEMBERED)
    remembered = train[np.linspace(0, len(train) - 1, num).round().astype(np.int64)]
    networks.config = networks.config.model_copy(update={"num_remembered": num})
    memory = networks.memory = PatchMemory(networks.config)
    known = _judge(networks.D_patch, pixels, remembered, device)
    memory.remember(torch.cat([judged.features.cpu() for judged in known]))
    memory.to(device)
    others = _judge(networks.D_patch, pixels, select, device)
    memory.settle(torch.cat([memory.evidence(judged) for judged in others]))


def _judge(
    D_patch: PatchDiscriminator, pixels: NDArray[np.uint8], rows: NDArray[np.int64], device: torch.device
) -> Iterator[PatchJudgement]:
    """Batch by batch: all at once may be more than a device holds."""
    for batch in np.array_split(rows, range(_BATCH_SIZE, len(rows), _BATCH_SIZE)):
        yield D_patch(to_float(torch.from_numpy(pixels[batch]).to(device)))
