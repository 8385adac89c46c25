"""One step of the patch discriminator, beside any other: normal images, whole and spoilt, told place by place.

Shapes: x (b, c, size, size) in [-1, 1]; images (n, c, size, size); what is spoilt (n, size, size), 1 or 0.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool2d

from anomaly.config import TrainingConfig
from anomaly.networks import standardise
from anomaly.runtime import autocast
from anomaly.training.losses import patch_loss
from anomaly.training.negatives import spoil
from anomaly.training.state import TrainingState
from anomaly.training.steps import Curves, descend

MIN_IMAGES, MAX_IMAGES = 6, 24  # a step; between them as many as have MAX_PIXELS
MAX_PIXELS = 6 * 256**2


def patch_step(state: TrainingState, x: Tensor, config: TrainingConfig, seed: int) -> Curves:
    """D_patch learns to tell, place by place, normal images from normal images that were spoilt there."""
    assert state.networks.D_patch is not None
    assert state.optimizer_taught is not None
    # spoilt in their own light, so that faults are as clear in dark images; D_patch standardises what comes of it
    examples = _examples(standardise(x).cpu().numpy(), np.random.default_rng(seed))
    images, spoilt = (t.to(x.device) for t in examples)
    state.networks.D_patch.train().requires_grad_(True)
    with autocast(x.device, config.precision):
        logits = state.networks.D_patch(images).logits.float()
        loss = patch_loss(logits, max_pool2d(spoilt, images.shape[-1] // logits.shape[-1]))
    grad = descend(state.optimizer_taught, loss)
    return {"loss_patch": loss.detach(), "grad_patch": grad}


def _examples(x: NDArray[np.float32], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A third of whole images, then spoilt ones; and where they are spoilt."""
    num = min(max(MAX_PIXELS // x.shape[-1] ** 2, MIN_IMAGES), MAX_IMAGES)
    drawn = x[rng.integers(len(x), size=(2, num))]
    images, masks = [], []
    for index, (image, donor) in enumerate(zip(*drawn, strict=True)):
        whole = 3 * index < num
        spoilt, mask = (image, np.zeros(image.shape[1:], np.bool_)) if whole else spoil(image, donor, rng)
        images.append(spoilt)
        masks.append(mask)
    channels_last = torch.from_numpy(np.stack(images)).contiguous(memory_format=torch.channels_last)
    return channels_last, torch.from_numpy(np.stack(masks).astype(np.float32))
