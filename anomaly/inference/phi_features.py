"""The maps of the pretrained network by ONNX Runtime: for training, where torch takes several times as long."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.config.places import STRIDE
from anomaly.data import Pixels
from anomaly.inference.onnx_engine import session_of_model
from anomaly.inference.place_engine import to_x
from anomaly.inference.tracing import traced
from anomaly.networks import PhiMaps
from anomaly.networks.pretrained import load_pretrained
from anomaly.processors import num_threads

if TYPE_CHECKING:
    from onnx import ModelProto

PHI_MAPS = "phi_maps"
PHI_EXAMPLE = (2 * STRIDE, 3 * STRIDE)
"""Height and width of the picture that it is traced with; any multiples of STRIDE can follow."""


@cache
def phi_model(channels: int, *, with_points: bool) -> "ModelProto":
    """φ's graph, x (1, channels, h, w) → PHI_MAPS (1, num_features, h/8, w/8), its weights inside; not to be changed.

    The maps are those of `PhiMaps`.

    Raises:
        UsageError: the extra `pretrained` is not installed.
    """
    phi = PhiMaps(load_pretrained(), with_points=with_points).eval()
    return traced(phi, {"x": torch.zeros(1, channels, *PHI_EXAMPLE)}, [PHI_MAPS], fold_constants=True, sides=STRIDE)


def phi_features(channels: int) -> Callable[[Pixels], NDArray[np.float32]]:
    """A function from one image (channels, h, w), its sides multiples of 16, to φ's maps (num_features, h/8, w/8).

    The points of each place are among them.

    Raises:
        UsageError: the extra `pretrained` is not installed.
    """
    session = session_of_model(phi_model(channels, with_points=True).SerializeToString(), num_threads())

    def maps_of(pixels: Pixels) -> NDArray[np.float32]:
        maps: NDArray[np.float32] = session.run([PHI_MAPS], {"x": to_x(pixels)})[0][0]
        return maps

    return maps_of
