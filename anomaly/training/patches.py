"""One step of the patch discriminator, beside any other: crops of normal images, whole and spoilt, told place by place.

Shapes: x (b, c, size, size) in [-1, 1]; crops (n, c, s, s), s at most MAX_CROP; what is spoilt (n, s, s), 1 or 0.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool2d

from anomaly.config import TrainingConfig
from anomaly.runtime import autocast
from anomaly.training.losses import patch_loss
from anomaly.training.negatives import spoil
from anomaly.training.state import TrainingState
from anomaly.training.steps import Curves, descend

MAX_CROP = 128  # pixels
NUM_WHOLE, NUM_SPOILT = 8, 16  # crops a step


def patch_step(state: TrainingState, x: Tensor, config: TrainingConfig, seed: int) -> Curves:
    """D_patch learns to tell, place by place, crops of normal images from crops that were spoilt there."""
    assert state.networks.D_patch is not None
    assert state.optimizer_taught is not None
    crops, spoilt = (t.to(x.device) for t in _crops(x.cpu().numpy(), np.random.default_rng(seed)))
    state.networks.D_patch.train().requires_grad_(True)
    with autocast(x.device, config.precision):
        logits = state.networks.D_patch(crops).float()
        loss = patch_loss(logits, max_pool2d(spoilt, crops.shape[-1] // logits.shape[-1]))
    grad = descend(state.optimizer_taught, loss)
    return {"loss_patch": loss.detach(), "grad_patch": grad}


def _crops(x: NDArray[np.float32], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Whole crops, then spoilt ones, each in a light of its own; and where they are spoilt."""
    side = min(MAX_CROP, x.shape[-1])

    def crop() -> NDArray[np.float32]:
        row, column = rng.integers(0, x.shape[-1] - side + 1, 2)
        cut: NDArray[np.float32] = x[rng.integers(len(x)), :, row : row + side, column : column + side]
        return cut

    crops = [crop() for _ in range(NUM_WHOLE)]
    masks = [np.zeros((side, side), np.bool_)] * NUM_WHOLE
    for _ in range(NUM_SPOILT):
        spoilt, mask = spoil(crop(), crop(), rng)
        crops.append(spoilt)
        masks.append(mask)
    shape = (len(crops), 1, 1, 1)
    lit = np.stack(crops) * rng.uniform(0.9, 1.1, shape) + rng.uniform(-0.05, 0.05, shape)
    channels_last = torch.from_numpy(lit.clip(-1, 1).astype(np.float32)).contiguous(memory_format=torch.channels_last)
    return channels_last, torch.from_numpy(np.stack(masks).astype(np.float32))
