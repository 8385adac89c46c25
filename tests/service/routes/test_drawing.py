import base64
import tracemalloc
from io import BytesIO

import numpy as np
from PIL import Image

from service.routes.drawing import ROWS, draw_heatmap


def test_a_heatmap_is_drawn_from_0_to_1_whatever_its_number_of_rows() -> None:
    heatmap = np.repeat(np.array([[-1.0, 0.0, 0.5, 1.0, 9.0]], np.float32), ROWS + 3, axis=0)
    drawn = np.asarray(Image.open(BytesIO(base64.b64decode(draw_heatmap(heatmap)))))
    assert drawn.shape == heatmap.shape
    assert (drawn == [0, 0, 128, 255, 255]).all()


def test_a_large_heatmap_is_not_copied_as_floats() -> None:
    heatmap = np.zeros((3000, 2000), np.float32)
    tracemalloc.start()
    try:
        draw_heatmap(heatmap)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < heatmap.nbytes
