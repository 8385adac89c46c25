"""Parts of a network that training leaves as they are: they have no gradient, no optimiser state, and no average.

A frozen part has buffers where others have parameters. Optimisers, gradients and spectral norm look for parameters, so
they leave it alone. Its state is stored under the same names. Copies of networks share it.
"""

import copy
from typing import Self, TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class Frozen(nn.Module):
    """Base of frozen parts. One that is built of parameters calls `freeze` when it has its weights."""

    def freeze(self) -> Self:
        """Make buffers of all parameters, and stay in evaluation mode."""
        for module in self.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                delattr(module, name)
                module.register_buffer(name, parameter.detach())
        return self.train()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: batch statistics are of the data that the part was trained on."""
        return super().train(False)


def is_frozen(network: nn.Module) -> dict[str, bool]:
    """Whether a frozen part has it, by each name in a network's state."""
    inside = {f"{name}." if name else "" for name, module in network.named_modules() if isinstance(module, Frozen)}
    return {name: name.startswith(tuple(inside)) for name in network.state_dict(keep_vars=True)}


def copy_sharing_frozen(network: Network) -> Network:
    """A copy with weights of its own, but for frozen parts, which are the same."""
    return copy.deepcopy(network, {id(module): module for module in network.modules() if isinstance(module, Frozen)})
