"""The layers that G, E and D are stacked from: each halves or doubles the side of its feature maps.

Kernel 4, stride 2, padding 1, as DCGAN (Radford 2016) has it: no pooling, and no checkerboard from an uneven overlap.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d
from torch.nn.utils.parametrizations import spectral_norm

LEAK = 0.2
INIT_STD = 0.02  # DCGAN §4


def widths(size: int, width: int, max_width: int) -> list[int]:
    """Channels after each halving of `size` down to 4 × 4: `width`, doubled each time, at most `max_width`."""
    num_levels = size.bit_length() - 3
    return [min(width * 2**level, max_width) for level in range(num_levels)]


def down(in_channels: int, out_channels: int, *, norm: bool) -> nn.Sequential:
    """(b, in, s, s) → (b, out, s/2, s/2); LeakyReLU."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=not norm)
    normalise = [nn.BatchNorm2d(out_channels)] if norm else []
    return nn.Sequential(conv, *normalise, nn.LeakyReLU(LEAK))


def up(in_channels: int, out_channels: int) -> nn.Sequential:
    """(b, in, s, s) → (b, out, 2s, 2s); batch norm, ReLU."""
    conv = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU())


def initialise(network: nn.Module) -> None:
    """Weights from N(0, 0.02²), biases zero (DCGAN §4)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, std=INIT_STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def constrain_spectral_norm(network: nn.Module) -> None:
    """Hold the largest singular value of every weight near 1 (Miyato 2018, eq. 8)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and isinstance(module.weight, nn.Parameter):  # else it is frozen
            spectral_norm(module)


def fold_spectral_norm(network: nn.Module) -> None:
    """Replace each constrained weight by its value, so that a stored network is plain weights."""
    for module in network.modules():
        if nn.utils.parametrize.is_parametrized(module):
            nn.utils.parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)


def fold_batch_norm(network: nn.Module) -> None:
    """In evaluation mode a batch norm after a convolution is an affine map: make it part of the convolution."""
    for module, index, conv, norm in _normalised_convolutions(network):
        transposed = isinstance(conv, nn.ConvTranspose2d)
        module[index] = nn.utils.fuse_conv_bn_eval(conv, norm, transpose=transposed)
        module[index + 1] = nn.Identity()


def fold_batch_norm_at_run_time(network: nn.Module) -> None:
    """Fold each batch norm in each pass; the weights stay as they are."""
    for module, index, conv, norm in _normalised_convolutions(network):
        module[index] = _FoldedConvolution(conv, norm)
        module[index + 1] = nn.Identity()


class _FoldedConvolution(nn.Module):
    """A convolution and the batch norm after it as one convolution: norm(conv(x)) = (γ/σ)·conv(x) + β − (γ/σ)·μ.

    Source: Jacob 2018 (quantisation), §3.2, batch normalisation folding.
    """

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        conv, norm = self.conv, self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        bias = norm.bias - norm.running_mean * scale
        if conv.bias is not None:
            bias = bias + conv.bias * scale
        if isinstance(conv, nn.ConvTranspose2d):
            return conv_transpose2d(x, conv.weight * scale[:, None, None], bias, conv.stride, conv.padding)  # type: ignore[arg-type]
        weight = conv.weight * scale[:, None, None, None]
        return conv2d(x, weight, bias, conv.stride, conv.padding)


def _normalised_convolutions(
    network: nn.Module,
) -> Iterator[tuple[nn.Sequential, int, nn.Conv2d | nn.ConvTranspose2d, nn.BatchNorm2d]]:
    """Each convolution with the batch norm that follows it in a sequence, the sequence, and its place there."""
    for module in list(network.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        for index, (conv, norm) in enumerate(pairwise(list(module))):
            if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                yield module, index, conv, norm
