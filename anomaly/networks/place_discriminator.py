"""D_patch: it judges each place by itself, by the whitened vector of what φ sees there.

Shapes: q (b, dimensions, h/8, w/8); logits (b, h/8, w/8).
Source: Liu 2023 (SimpleNet), §3.4.
"""

from torch import Tensor, nn

_HIDDEN = 128


class PlaceDiscriminator(nn.Module):
    """q → logits (b, h, w), high for normal; each place by itself."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(dimensions, _HIDDEN, 1)
        self.to_logits = nn.Conv2d(_HIDDEN, 1, 1)

    def forward(self, q: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.to_logits(nn.functional.leaky_relu(self.hidden(q), 0.2)).squeeze(1)
        return logits
