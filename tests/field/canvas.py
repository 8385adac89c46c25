"""The one picture that all files of the formats' tests hold, and saving it."""

from io import BytesIO

import numpy as np
from PIL import Image

from anomaly.data import Pixels

HEIGHT, WIDTH = 24, 40
_ROWS, _COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
GREY: Pixels = (_ROWS * 4 + _COLUMNS * 3).astype(np.uint8)
RGB: Pixels = np.dstack([_COLUMNS * 6, _ROWS * 10, (_ROWS + _COLUMNS) % 2 * 200]).astype(np.uint8)
BLACK_AND_WHITE: Pixels = np.where(GREY > 90, 255, 0).astype(np.uint8)


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    """The bytes of a file of that format."""
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()
