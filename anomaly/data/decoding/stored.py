"""Pixels as a file stores them, before they are the 8 bits that a person sees: TIFF's and Netpbm's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomaly.data.decoding.ranges import Values, narrow, to_8_bits


@dataclass(frozen=True)
class StoredPixels:
    """`colours` are (h, w) grey, (h, w, 3) RGB or (h, w, 4) CMYK.

    `white` is the value of full brightness where the file declares it; None: values of 16 bits, whose range is the
    training images' (see `ranges`). `alpha` is 0 … 255, and with `is_associated` the colours are multiplied by it.
    `is_first_of_several`: other pictures follow in the file.
    """

    colours: Values
    white: int | None = 255
    is_white_zero: bool = False
    alpha: NDArray[np.uint8] | None = None
    is_associated: bool = False
    is_first_of_several: bool = False

    @property
    def peak(self) -> int | None:
        """The largest value, where the file does not say which value is white."""
        return int(self.colours.max(initial=0)) if self.white is None else None

    def to_image(self, bits: int, *, name: str) -> Image.Image:
        """In mode L, RGB, LA, RGBA or CMYK, without metadata. Raises ValueRangeError: see `narrow`."""
        if self.white is None:
            seen: NDArray[np.uint8] = narrow(self.colours, bits, name=name)
        else:
            seen = (
                self.colours.astype(np.uint8, copy=False) if self.white == 255 else to_8_bits(self.colours, self.white)
            )
        if self.is_white_zero:
            seen = 255 - seen
        if self.alpha is None:
            return Image.fromarray(seen, "CMYK") if seen.shape[2:] == (4,) else Image.fromarray(seen)
        if self.is_associated and self.alpha.any():
            missing = 255 - self.alpha.astype(np.uint16)
            return Image.fromarray(
                np.minimum(seen + (missing if seen.ndim == 2 else missing[:, :, None]), 255).astype(np.uint8)
            )
        return Image.fromarray(np.dstack([seen, self.alpha]), "LA" if seen.ndim == 2 else "RGBA")
