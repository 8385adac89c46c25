"""BMP: the palettes that PIL mistakes. Source: Microsoft's description of BITMAPCOREHEADER and BITMAPINFOHEADER."""

from PIL import ImageFile, ImagePalette

_CORE_HEADER = 12
_RAW_MODES = {4: "P;4", 8: "P"}


def correct_palette(data: bytes, image: ImageFile.ImageFile) -> None:
    """PIL takes a palette of black and white for 1 bit a pixel, and one of a few greys for 8, whatever the bits are.

    Changes the opened image before it is loaded.
    """
    header_size = int.from_bytes(data[14:18], "little")
    is_core = header_size == _CORE_HEADER
    bits_at = 24 if is_core else 28
    bits = int.from_bytes(data[bits_at : bits_at + 2], "little")
    if image.mode not in ("1", "L") or bits not in _RAW_MODES or (image.mode, bits) == ("L", 8):
        return
    num_colours = 0 if is_core else int.from_bytes(data[46:50], "little")
    entry = 3 if is_core else 4
    start = 14 + header_size
    palette = data[start : start + entry * min(num_colours or 1 << bits, 256)]
    image._mode = "P"
    image.palette = ImagePalette.raw("BGR" if is_core else "BGRX", palette)
    tile = image.tile[0]
    if tile.codec_name == "raw":
        image.tile = [tile._replace(args=(_RAW_MODES[bits], *(tile.args or ())[1:]))]
