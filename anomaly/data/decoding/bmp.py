"""BMP: what PIL mistakes, the palettes of two colours, runs that do not fill the picture, and entries that are missing.

Source: Microsoft's description of BITMAPCOREHEADER, BITMAPINFOHEADER and of bitmap compression.
"""

from dataclasses import dataclass

from PIL import ImageFile, ImagePalette

from anomaly.counted import counted

_CORE_HEADER = 12
_RAW_MODES = {4: "P;4", 8: "P"}
_BITS = {1: (8,), 2: (4,), 3: (16, 32)}  # a pixel, by compression: RLE8, RLE4, bit fields


@dataclass(frozen=True)
class _Header:
    start: int
    header_size: int
    bits: int
    compression: int
    num_colours: int


def check_header(data: bytes) -> None:
    """Raises ValueError if the compression does not go with the bits a pixel."""
    header = _read(data)
    allowed = _BITS.get(header.compression)
    if allowed is not None and header.bits not in allowed:
        raise ValueError(f"its compression {header.compression} does not go with {counted(header.bits, 'bit')} a pixel")


def prepare(data: bytes, image: ImageFile.ImageFile) -> None:
    """Checks and corrects an opened image before it is loaded.

    PIL takes a palette of black and white for 1 bit a pixel, and one of a few greys for 8, whatever the bits are; and
    fills up what runs leave out.

    Raises:
        ValueError: runs leave a row unfinished, or go beyond it.
    """
    header = _read(data)
    if header.compression in (1, 2):
        _check_runs(data[header.start :], image.width, image.height, half=header.compression == 2)
    if image.mode not in ("1", "L") or header.bits not in _RAW_MODES or (image.mode, header.bits) == ("L", 8):
        return
    entry = 3 if header.header_size == _CORE_HEADER else 4
    start = 14 + header.header_size
    palette = data[start : start + entry * min(header.num_colours or 1 << header.bits, 256)]
    image._mode = "P"
    image.palette = ImagePalette.raw("BGR" if entry == 3 else "BGRX", palette)
    tile = image.tile[0]
    if tile.codec_name == "raw":
        image.tile = [tile._replace(args=(_RAW_MODES[header.bits], *(tile.args or ())[1:]))]


def check_indices(data: bytes, image: ImageFile.ImageFile) -> None:
    """Raises ValueError if a loaded picture has indices beyond its palette: PIL shows them as black."""
    header = _read(data)
    if image.mode not in ("P", "L") or not 0 < header.num_colours < 1 << header.bits <= 256:
        return
    highest = image.im.getextrema()[1]
    if highest >= header.num_colours:
        entries = counted(header.num_colours, "entry", "entries")
        raise ValueError(f"it has a pixel of palette entry {highest}, and its palette has {entries}")


def _read(data: bytes) -> _Header:
    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "little")

    size = number(14, 4)
    if size == _CORE_HEADER:
        return _Header(number(10, 4), size, number(24, 2), 0, 0)
    return _Header(number(10, 4), size, number(28, 2), number(30, 4), number(46, 4))


def _check_runs(runs: bytes, width: int, height: int, *, half: bool) -> None:
    """Each row must be filled and ended; the last may be ended by the end mark. Jumps (deltas) leave pixels open."""
    at = x = y = 0
    while y < height:
        count, value = runs[at : at + 2] if at + 2 <= len(runs) else (0, -1)
        at += 2
        if count:
            x += count
        elif value >= 3:
            x += value
            num_bytes = (value + 1) // 2 if half else value
            at += num_bytes + num_bytes % 2
        elif value in (0, 1) and x == width and (value == 0 or y == height - 1):
            x, y = 0, y + 1
        else:
            raise ValueError("its runs of pixels leave a part of the picture open, or the file is truncated")
        if x > width or at > len(runs):
            raise ValueError("its runs of pixels go beyond a row, or the file is truncated")
