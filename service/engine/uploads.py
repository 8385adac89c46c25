"""From the bytes of an uploaded image to pixels ready for the networks, within limits.

Pixels are counted before they are decoded. `prepare` blocks: it runs in a decoding thread, never on the event loop.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from anomaly.config import PreprocessConfig
from anomaly.data import Limits, Picture, read
from anomaly.data.decoding.decode import side_lengths
from anomaly.errors import ImageError
from service.settings import Settings


class Uploads:
    """Decodes images. `timed` is entered around each decoding."""

    def __init__(self, settings: Settings, *, timed: Callable[[], AbstractContextManager[None]]) -> None:
        self.limits = Limits(max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels)
        self._timed = timed

    def prepare(self, data: bytes, config: PreprocessConfig, *, name: str) -> Picture:
        """Decode and preprocess the image in `data`; errors call it `name`. Raises ImageError."""
        with self._timed():
            return read(data, config, name=name, limits=self.limits)

    def num_pixels(self, data: bytes, config: PreprocessConfig) -> int:
        """How many pixels the networks will see of a picture that keeps its shape, told by its first bytes.

        0 for what is no image, which `prepare` refuses.
        """
        try:
            width, height = side_lengths(data, limits=self.limits)
        except ImageError:
            return 0
        return round(width * height * float(config.scale) ** 2)
