"""The maps of the pretrained network by ONNX Runtime: for training, where torch takes several times as long."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.config.places import STRIDE
from anomaly.data import Pixels
from anomaly.inference.engine import num_threads
from anomaly.inference.onnx_engine import MAPS, session_of_model
from anomaly.inference.tracing import traced
from anomaly.networks import PhiMaps
from anomaly.networks.pretrained import load_pretrained


def phi_features() -> Callable[[Pixels], NDArray[np.float32]]:
    """A function from one image (c, h, w), its sides multiples of 16, to its maps (num_features, h/8, w/8).

    Raises:
        UsageError: the extra `pretrained` is not installed.
    """
    phi = PhiMaps(load_pretrained()).eval()
    example = torch.zeros(1, 3, 2 * STRIDE, 3 * STRIDE)
    model = traced(phi, {"x": example}, [MAPS], fold_constants=True, sides=STRIDE)
    session = session_of_model(model.SerializeToString(), num_threads())

    def maps_of(pixels: Pixels) -> NDArray[np.float32]:
        x = np.broadcast_to(pixels, (3, *pixels.shape[1:]))[None].astype(np.float32)
        maps: NDArray[np.float32] = session.run([MAPS], {"x": x / np.float32(127.5) - np.float32(1)})[0][0]
        return maps

    return maps_of
