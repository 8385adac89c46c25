"""Networks that compute in a faster precision and return single precision, so that what follows is not rounded."""

from typing import Any

import torch
from torch import Tensor, nn

from anomaly.config import Precision
from anomaly.networks import Judgement, Networks
from anomaly.runtime import autocast


class InPrecision(nn.Module):
    """A network whose convolutions and products run in `precision`; it is not changed otherwise."""

    def __init__(self, network: nn.Module, precision: Precision, device: torch.device) -> None:
        super().__init__()
        self.network = network
        self._precision = precision
        self._device = device

    def forward(self, *inputs: Tensor | None) -> Any:
        """The network's output, in single precision."""
        with autocast(self._device, self._precision):
            return _to_single(self.network(*inputs))


def lower_precision(networks: Networks, precision: Precision, device: torch.device) -> None:
    """Put each network of G, E, the discriminators, φ and the auxiliaries into `precision`; nothing for fp32."""
    if precision is Precision.FP32:
        return
    for name in ("G", "E", "D", "D_xx", "phi"):
        network = getattr(networks, name)
        if network is not None:
            setattr(networks, name, InPrecision(network, precision, device))
    for auxiliary in networks.all_auxiliaries():
        auxiliary.discriminator = InPrecision(auxiliary.discriminator, precision, device)


def _to_single(answer: Any) -> Any:
    match answer:
        case Tensor():
            return answer.float()
        case Judgement():
            return Judgement(answer.logits.float(), {name: f.float() for name, f in answer.features.items()})
        case dict():
            return {name: _to_single(value) for name, value in answer.items()}
        case tuple():  # a named one
            return type(answer)(*map(_to_single, answer))
        case _:
            return answer
