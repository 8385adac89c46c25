"""What is drawn, as the bytes of a file."""

import io

from PIL import Image


def png_bytes(picture: Image.Image, *, optimize: bool = False) -> bytes:
    """The picture as a PNG file; with `optimize` it takes longer and is smaller."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=optimize)
    return file.getvalue()
