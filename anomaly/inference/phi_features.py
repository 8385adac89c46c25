"""The maps of the pretrained network by ONNX Runtime: for training, where torch takes several times as long."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.config.places import STRIDE
from anomaly.data import Pixels, to_floats
from anomaly.inference.onnx_engine import session_of_model
from anomaly.inference.tracing import traced
from anomaly.networks import PhiMaps
from anomaly.networks.pretrained import load_pretrained
from anomaly.processors import num_threads
from anomaly.torch_settings import own_settings

if TYPE_CHECKING:
    from onnx import ModelProto

PHI_MAPS = "phi_maps"


@cache
@own_settings()
def phi_model(channels: int, *, with_points: bool, with_half: bool) -> "ModelProto":
    """φ's graph, x (1, channels, h, w) → PHI_MAPS (1, num_features, h/8, w/8), its weights inside; not to be changed.

    The maps are those of `PhiMaps`, and h and w what it needs.

    Raises:
        UsageError: the extra `pretrained` is not installed.
    """
    phi = PhiMaps(load_pretrained(), with_points=with_points, with_half=with_half).eval()
    sides = STRIDE * (1 + with_half)
    x = torch.zeros(1, channels, 2 * sides, 3 * sides)
    return traced(phi, {"x": x}, [PHI_MAPS], fold_constants=True, sides=sides)


def phi_features(channels: int, *, with_half: bool) -> Callable[[Pixels], NDArray[np.float32]]:
    """A function from one image (channels, h, w) to φ's maps (num_features, h/8, w/8), for sides that `PhiMaps` needs.

    The points of each place are among them.

    Raises:
        UsageError: the extra `pretrained` is not installed.
    """
    session = session_of_model(
        phi_model(channels, with_points=True, with_half=with_half).SerializeToString(), num_threads()
    )

    def maps_of(pixels: Pixels) -> NDArray[np.float32]:
        maps: NDArray[np.float32] = session.run([PHI_MAPS], {"x": to_floats(pixels[None])})[0][0]
        return maps

    return maps_of
