"""Networks that are to get stored weights: made without drawing initial ones.

Drawing takes time. And it takes random numbers of the process, which a training in another thread may be drawing from.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def unfilled(make: Callable[[], Network]) -> Network:
    """What `make` returns, on the CPU, with nothing in its parameters and buffers yet."""
    with torch.device("meta"):
        network = make()
    return network.to_empty(device="cpu")
