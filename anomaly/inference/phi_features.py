"""The maps of the pretrained network by ONNX Runtime: for training, where torch takes several times as long."""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anomaly.config.places import PLACE
from anomaly.data import Pixels, to_floats
from anomaly.inference.onnx_places import PictureRun
from anomaly.inference.onnx_sessions import session_of_model
from anomaly.inference.place_engine import Strips
from anomaly.inference.torch_places import PHI_MAPS, phi_model
from anomaly.processors import num_threads

STRIPS = Strips(columns=sys.maxsize)


def phi_features(
    channels: int, side: int | None, *, with_points: bool, with_half: bool
) -> Callable[[Pixels], NDArray[np.float32]]:
    """A function from one image (channels, h, w) to φ's maps (num_features, h/8, w/8), as `phi_model` has them.

    A large image is computed in strips, as where it is scored; with the half
    size none is large.

    Raises:
        UsageError: the extra `pretrained` is not installed.
    """
    model = phi_model(channels, side, with_points=with_points, with_half=with_half)
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
