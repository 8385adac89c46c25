"""What every discriminator returns."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Judgement:
    """D's output for a batch: logits (b,), high for real, and each layer's features by name.

    Features are (b, channels, height, width), or (b, units) of a fully connected layer. Of a critic the "logits" are
    its output.
    """

    logits: Tensor
    features: dict[str, Tensor]
