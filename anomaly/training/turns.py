"""One step of the turn discriminator, beside any other: which way each of four turned copies of an image stands.

Shapes: x (b, c, size, size) in [-1, 1]; turned copies (4·n, c, size, size), n at most MAX_IMAGES.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from anomaly.config import TrainingConfig
from anomaly.networks import NUM_TURNS, turned
from anomaly.runtime import autocast, generator
from anomaly.training.state import TrainingState
from anomaly.training.steps import Curves, descend

MAX_IMAGES = 32  # a step
SHIFT = 16  # the side over the largest shift


def turn_step(state: TrainingState, x: Tensor, config: TrainingConfig) -> Curves:
    """D_turn learns how each image is turned: of the image as it is or mirrored, and a little shifted."""
    assert state.networks.D_turn is not None
    assert state.optimizer_taught is not None
    copies = turned(_vary(x[:MAX_IMAGES], generator("turns", config.seed, state.step)))
    turns = torch.arange(NUM_TURNS, device=x.device).repeat_interleave(len(copies) // NUM_TURNS)
    state.networks.D_turn.train().requires_grad_(True)
    with autocast(x.device, config.precision):
        loss = cross_entropy(state.networks.D_turn(copies).float(), turns)
    grad = descend(state.optimizer_taught, loss)
    return {"loss_turn": loss.detach(), "grad_turn": grad}


def _vary(x: Tensor, random: torch.Generator) -> Tensor:
    """Half of the images mirrored, all shifted alike by up to a sixteenth of the side, their edges repeated."""
    mirrored = (torch.rand(len(x), generator=random) < 0.5).to(x.device)
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    side = x.shape[-1]
    reach = side // SHIFT
    row, column = torch.randint(2 * reach + 1, (2,), generator=random).tolist()
    return pad(x, (reach,) * 4, mode="replicate")[:, :, row : row + side, column : column + side]
