"""Masks of many pictures in little memory."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from anomaly.data.masks.coding import Mask


@dataclass(frozen=True)
class PackedMask:
    """A mask with eight pixels in a byte, compressed: it is some thousandths of its size where areas are plain."""

    shape: tuple[int, int]
    data: bytes

    @classmethod
    def pack(cls, mask: Mask) -> "PackedMask":
        """Keeps no reference to the mask."""
        height, width = mask.shape
        return cls((height, width), zlib.compress(np.packbits(mask).data, level=1))

    def unpack(self) -> Mask:
        """A new array."""
        height, width = self.shape
        bits = np.frombuffer(zlib.decompress(self.data), np.uint8)
        return np.unpackbits(bits, count=height * width).view(np.bool_).reshape(self.shape)


class PackedMasks(Mapping[int, Mask]):
    """Masks by a number. Each look at one unpacks it anew."""

    def __init__(self, packed: Mapping[int, PackedMask]) -> None:
        self._packed = packed

    def __getitem__(self, number: int) -> Mask:
        return self._packed[number].unpack()

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)
