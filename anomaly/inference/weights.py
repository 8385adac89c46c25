"""Networks with the weights of a bundle.

They are made without drawing initial weights. Drawing takes time. And it takes random numbers of the process, which a
training in another thread may be drawing from.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from anomaly.bundle import Contents
from anomaly.counted import counted
from anomaly.errors import CorruptBundleError
from anomaly.torch_settings import own_settings

Network = TypeVar("Network", bound=nn.Module)


@own_settings()
def with_weights(make: Callable[[], Network], contents: Contents, called: str) -> Network:
    """What `make` returns, with the weights of a bundle, on the CPU, in evaluation mode, without gradients.

    Error messages call the bundle `called`.

    Raises:
        CorruptBundleError: its weights do not fit its manifest.
    """
    with torch.device("meta"):
        network = make()
    network = network.to_empty(device="cpu").eval().requires_grad_(False)
    weights = {name: torch.from_numpy(np.array(array)) for name, array in contents.weights.items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        wanted, found = ({name: t.shape for name, t in each.items()} for each in (network.state_dict(), weights))
        odd = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        raise CorruptBundleError(
            f"{called} is corrupt: its weights do not fit its manifest ({counted(len(odd), 'array')}, the first is "
            f"{odd[0]}), or another version of anomaly made it. Restore it from a copy, train it again, or go back to "
            "the version that made it"
        ) from error
    return network
