"""Layers that mix or draw rows of a batch, for a batch that is divided among ranks: they do what one process does.

Shapes: x (b, c, h, w), this rank's rows. A layer may see several batches at once, such as reals and fakes, one after
the other; each is divided among the ranks by itself.
Source: Ioffe 2015 (batch normalisation), algorithm 1; Srivastava 2014 (dropout).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from anomaly.networks import is_frozen
from anomaly.runtime import widened
from anomaly.training.ranks import Ranks


class WholeBatchNorm(nn.BatchNorm2d):
    """Batch norm by mean and variance of the rows of all ranks, with their gradients.

    Not `nn.SyncBatchNorm`, which refuses CPUs: what is tested there is what runs on GPUs.
    """

    ranks: Ranks

    @classmethod
    def of(cls, norm: nn.BatchNorm2d, ranks: Ranks) -> "WholeBatchNorm":
        """With the same weights and running statistics, not copies of them."""
        assert norm.momentum is not None
        new = cls(norm.num_features, norm.eps, norm.momentum)
        new.weight, new.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers():
            setattr(new, name, buffer)
        new.ranks = ranks
        return new.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised; the running statistics follow those of the whole batch."""
        if not self.training:
            return super().forward(x)
        wide = widened(x)
        own_num = wide.new_tensor([x.numel() // self.num_features])
        sums = self.ranks.sum(torch.cat([wide.sum(dim=(0, 2, 3)), own_num]))
        num = sums[-1].detach()
        mean = sums[:-1] / num
        centred = wide - mean[:, None, None]
        variance = self.ranks.sum(centred.square().sum(dim=(0, 2, 3))) / num
        self._follow(mean.detach(), variance.detach() * num / (num - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


class WholeBatchDropout(nn.Dropout):
    """Dropout whose mask is drawn for the rows of all ranks; `num_rows` of a batch are this rank's."""

    def __init__(self, p: float, num_rows: int, ranks: Ranks) -> None:
        super().__init__(p)
        self.num_rows, self.ranks = num_rows, ranks

    def forward(self, x: Tensor) -> Tensor:
        """The input (b, …), with zeros."""
        if not self.training:
            return x
        ones = x.new_ones(len(x) * self.ranks.size, *x.shape[1:])
        masks = dropout(ones, self.p).view(-1, self.num_rows, self.ranks.size, *x.shape[1:])
        return x * masks[:, :, self.ranks.rank].reshape(x.shape)


def see_whole_batches(networks: nn.Module, num_rows: int, ranks: Ranks) -> None:
    """Put these layers in the place of their like, where there are several ranks."""
    if ranks.size == 1:
        return
    frozen = is_frozen(networks)
    for name, module in list(networks.named_modules()):
        parent, _, own_name = name.rpartition(".")
        if isinstance(module, nn.BatchNorm2d) and not frozen[f"{name}.running_mean"]:
            setattr(networks.get_submodule(parent), own_name, WholeBatchNorm.of(module, ranks))
        elif isinstance(module, nn.Dropout):
            setattr(networks.get_submodule(parent), own_name, WholeBatchDropout(module.p, num_rows, ranks))
