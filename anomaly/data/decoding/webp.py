"""WebP: whether the picture uses its data to the end. libwebp decodes zeros in their place, too, and says nothing.

An encoder writes no more than a picture needs, so its last bytes matter to the pixels. After a part that is
overwritten, the codes go on out of step and end elsewhere, and the last bytes are not read. Damage after which they end
in the right place is not seen: a few bytes, or more in a lossless file of random values, whose codes are all as long.

Source: RFC 9649, sections 2.3 to 2.7 (chunks).
"""

from collections.abc import Iterator
from io import BytesIO

from PIL import Image, WebPImagePlugin

_END = 64  # bytes: libwebp's encoder leaves up to 30 of so many unread, in very small pictures
_FRAME_HEADER = 16  # of an ANMF chunk, before the chunks inside it
_PICTURES = (b"VP8 ", b"VP8L", b"ALPH")


def check_end(data: bytes, image: Image.Image) -> None:
    """For a picture of these bytes that is loaded.

    Raises:
        ValueError: other bytes at the end of its data give the same pixels, so it is not whole.
    """
    pixels = image.tobytes()
    for start, end in _pictures(data, 12, len(data)):
        tail = end - min(_END, (end - start) // 2)
        changed = data[:tail] + bytes(value ^ 0xA5 for value in data[tail:end]) + data[end:]
        if _pixels(changed) == pixels:
            raise ValueError("a part of it is overwritten or missing: the end of its data is not used")


def _pictures(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Where the pixels and the alpha of the first frame begin and end."""
    while start + 8 <= stop:
        kind, length = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        body, end = start + 8, min(start + 8 + length, stop)
        if kind == b"ANMF":
            yield from _pictures(data, body + _FRAME_HEADER, end)
            return
        if kind in _PICTURES:
            yield body, end
        start = end + length % 2


def _pixels(data: bytes) -> bytes | None:
    """None where the decoder refuses it."""
    try:
        image = WebPImagePlugin.WebPImageFile(BytesIO(data))
        image.load()
    except Exception:  # whatever the decoder says of data that are damaged on purpose
        return None
    return image.tobytes()
