"""The discriminator D_rotation: by how many quarter turns an image was rotated.

For that it must learn what normal objects look like and which way up they are. It is unsure about objects that it has
not learnt, and how unsure it is, is the evidence.
Shapes: x (b, c, size, size) in [-1, 1], size a multiple of 8; logits (b, 4), of no, one, two and three quarter turns.
Source: Gidaris 2018 (RotNet); Chen 2019 (self-supervised GANs), §3, for a discriminator that learns it; Golan 2018,
§3, for the evidence; He 2016.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from anomaly.config import NetworkPlan
from anomaly.networks.auxiliary.protocol import Auxiliary, AuxiliaryEvidence
from anomaly.networks.blocks import LEAK, down
from anomaly.runtime import seeded_rng, widened

NUM_ROTATIONS = 4
WIDTH = 32
MAX_IMAGES = 32  # a step
SHIFT = 16  # the side over the largest shift
_SIDE = 16  # of the maps that the first residual block sees


class Rotation(Auxiliary):
    """Each image is rotated in four ways; the evidence is how unsure D_rotation is of the right answers."""

    name = "rotation"

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.discriminator = RotationDiscriminator(plan)

    def examples(self, x: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """Copies of images in all rotations, and these; images are mirrored at random and shifted a little."""
        copies = rotated(_vary(x[:MAX_IMAGES], seeded_rng("turns", seed, step)))
        rotations = torch.arange(NUM_ROTATIONS, device=x.device).repeat_interleave(len(copies) // NUM_ROTATIONS)
        return copies, rotations

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """The cross-entropy of the right rotations."""
        return cross_entropy(widened(self.discriminator(images)), targets)

    def forward(self, x: Tensor) -> AuxiliaryEvidence:
        """How unsure it is; no maps."""
        return AuxiliaryEvidence(rotation_doubt(self.discriminator(rotated(x))), ())

    @staticmethod
    def num_maps(plan: NetworkPlan) -> int:
        """None: it judges the whole image."""
        return 0


class RotationDiscriminator(nn.Module):
    """Halves the side to 16, then three residual blocks; a linear layer on the mean over all places."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        num_halvings = max((plan.size // _SIDE).bit_length() - 1, 0)
        channels = [plan.channels, *[WIDTH] * num_halvings]
        self.maps = nn.Sequential(
            *(down(a, WIDTH, norm=True) for a in channels[:-1]),
            _Residual(channels[-1], 2 * WIDTH, stride=1),
            _Residual(2 * WIDTH, 4 * WIDTH, stride=2),
            _Residual(4 * WIDTH, 4 * WIDTH, stride=2),
        )
        self.to_logits = nn.Linear(4 * WIDTH, NUM_ROTATIONS)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of D_rotation(x)."""
        logits: Tensor = self.to_logits(self.maps(x).mean(dim=(2, 3)))
        return logits


def rotated(x: Tensor) -> Tensor:
    """Images (b, c, s, s) as they are, then rotated by one, two and three quarters: (4·b, c, s, s), channels last."""
    copies = torch.cat([torch.rot90(x, quarters, dims=(2, 3)) for quarters in range(NUM_ROTATIONS)])
    return copies.contiguous(memory_format=torch.channels_last)


def rotation_doubt(logits: Tensor) -> Tensor:
    """Mean (b,) of −log D_rotation of the right rotation, of logits (4·b, 4) in the order of `rotated`."""
    right = logits.log_softmax(dim=1).view(NUM_ROTATIONS, -1, NUM_ROTATIONS).diagonal(dim1=0, dim2=2)
    return -right.mean(dim=1)


def _vary(x: Tensor, rng: torch.Generator) -> Tensor:
    """Half of the images mirrored, all shifted alike by up to a sixteenth of the side, their edges repeated."""
    mirrored = (torch.rand(len(x), generator=rng) < 0.5).to(x.device)
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    side = x.shape[-1]
    reach = side // SHIFT
    row, column = torch.randint(2 * reach + 1, (2,), generator=rng).tolist()
    return pad(x, (reach,) * 4, mode="replicate")[:, :, row : row + side, column : column + side]


class _Residual(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.skip = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)
        self.activation = nn.LeakyReLU(LEAK)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.activation(self.branch(x) + self.skip(x))
        return h
