"""The maps of the pretrained network by ONNX Runtime: for training, where torch takes several times as long."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.config.places import PLACE, STRIDE
from anomaly.data import Pixels, to_floats
from anomaly.inference.onnx_engine import PictureRun, session_of_model
from anomaly.inference.place_engine import Strips
from anomaly.inference.tracing import sides_to_trace, traced
from anomaly.networks import PhiMaps
from anomaly.networks.pretrained import load_pretrained
from anomaly.processors import num_threads
from anomaly.torch_settings import own_settings

if TYPE_CHECKING:
    from onnx import ModelProto

PHI_MAPS = "phi_maps"
STRIPS = Strips(columns=sys.maxsize)


@cache
@own_settings()
def phi_model(channels: int, side: int | None, *, with_points: bool, with_half: bool) -> "ModelProto":
    """φ's graph, x (1, channels, h, w) → PHI_MAPS (1, num_features, h/8, w/8), its weights inside; not to be changed.

    The maps are those of `PhiMaps`. h and w are `side`; if it is None, anything that `PhiMaps` takes.

    Raises:
        UsageError: the extra `pretrained` is not installed.
    """
    phi = PhiMaps(load_pretrained(), with_points=with_points, with_half=with_half).eval()
    sides, free = sides_to_trace(side, STRIDE * (1 + with_half))
    return traced(phi, {"x": torch.zeros(1, channels, *sides)}, [PHI_MAPS], free=free, fold_constants=True)


def phi_features(channels: int, side: int | None, *, with_half: bool) -> Callable[[Pixels], NDArray[np.float32]]:
    """A function from one image (channels, h, w) to φ's maps (num_features, h/8, w/8), for sides as in `phi_model`.

    The points of each place are among them. A large image is computed in strips, as where it is scored; with the half
    size none is large.

    Raises:
        UsageError: the extra `pretrained` is not installed.
    """
    model = phi_model(channels, side, with_points=True, with_half=with_half)
    run = PictureRun(session_of_model(model.SerializeToString(), num_threads()), PHI_MAPS)
    strips = replace(STRIPS, pixels=sys.maxsize) if with_half else STRIPS

    def maps_of(pixels: Pixels) -> NDArray[np.float32]:
        _, height, width = pixels.shape
        parts = [
            run({"x": to_floats(pixels[None, :, top:bottom])})[:, (first - top) // PLACE : (last - top) // PLACE]
            for first, last, top, bottom in strips.of_rows(height, width)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    return maps_of
