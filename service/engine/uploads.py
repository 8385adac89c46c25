"""From the bytes of an uploaded image to pixels ready for the networks, within limits.

Pixels are counted before they are decoded. `prepare` blocks: it runs in a decoding thread, never on the event loop.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from math import prod

from anomaly.config import PreprocessConfig
from anomaly.data import Limits, Picture, Pixels, read
from anomaly.data.decoding.decode import side_lengths
from anomaly.data.preprocess import preprocessed_size
from anomaly.data.reader import check_filled
from anomaly.errors import ImageError, ImageTooLargeError
from service.settings import Settings


class Uploads:
    """Decodes images. `timed` is entered around each decoding."""

    def __init__(self, settings: Settings, *, timed: Callable[[], AbstractContextManager[None]]) -> None:
        self.limits = Limits(max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels)
        self._timed = timed

    def prepare(self, data: bytes | Pixels, config: PreprocessConfig, *, name: str) -> Picture:
        """Decode and preprocess the image in `data`, a file's bytes or an array; errors call it `name`.

        Raises ImageError.
        """
        if not isinstance(data, bytes) and (num := data.shape[0] * data.shape[1]) > self.limits.max_pixels:
            raise ImageTooLargeError(f"{name} has {num} pixels; at most {self.limits.max_pixels} are accepted")
        with self._timed():
            return read(data, config, name=name, limits=self.limits)

    def num_pixels(self, data: bytes | Pixels, config: PreprocessConfig) -> int:
        """How many pixels the networks will see of a picture that keeps its shape, told by its first bytes.

        0 for what `prepare` refuses: what is no image, or too large.
        """
        try:
            width, height = (
                side_lengths(data, self.limits) if isinstance(data, bytes) else (data.shape[1], data.shape[0])
            )
            check_filled(height, width, config, "the image", self.limits)
        except ImageError:
            return 0
        return prod(preprocessed_size(height, width, config))
