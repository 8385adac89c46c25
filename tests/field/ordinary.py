"""Ordinary picture files, as programs write them every day, each with the pixels that are right."""

from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image

from anomaly.data import Pixels
from tests.field.canvas import BLACK_AND_WHITE, GREY, RGB, saved

Drawn = Iterator[tuple[str, bytes, Pixels | str]]
_ORIENTATION = 0x0112


def ordinary_files() -> Iterator[tuple[str, str, bytes, Pixels | str]]:
    """Section of the table, what it is, the file, and its pixels."""
    for section, make in (("PNG", _pngs), ("BMP", _bmps), ("WebP", _webps), ("JPEG", _jpegs), ("TIFF", _tiffs)):
        for what, data, seen in make():
            yield section, what, data, seen


def _pngs() -> Drawn:
    yield (
        "grey, 1 bit",
        saved(Image.fromarray(BLACK_AND_WHITE).convert("1", dither=Image.Dither.NONE), "PNG"),
        BLACK_AND_WHITE,
    )
    yield "grey, 8 bits", saved(Image.fromarray(GREY), "PNG"), GREY
    yield "grey, 16 bits", saved(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG"), GREY
    yield "RGB, 8 bits", saved(Image.fromarray(RGB), "PNG"), RGB
    palette = Image.fromarray(RGB).quantize(16)
    yield "palette", saved(palette, "PNG"), np.asarray(palette.convert("RGB"))
    alpha = np.where(GREY > 90, 255, 0).astype(np.uint8)
    on_white = np.where(alpha[:, :, None] > 0, RGB, 255).astype(np.uint8)
    yield "RGB and alpha: shown on white", saved(Image.fromarray(np.dstack([RGB, alpha])), "PNG"), on_white
    grey_on_white = np.where(alpha > 0, GREY, 255).astype(np.uint8)
    with_alpha = Image.fromarray(np.dstack([GREY, alpha]), "LA")
    yield "grey and alpha: shown on white", saved(with_alpha, "PNG"), grey_on_white
    frames = [Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())]
    yield "animated: the first frame (said)", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]), RGB


def _bmps() -> Drawn:
    black_and_white = Image.fromarray(BLACK_AND_WHITE).convert("1", dither=Image.Dither.NONE)
    yield "1 bit", saved(black_and_white, "BMP"), BLACK_AND_WHITE
    yield "8 bits, grey", saved(Image.fromarray(GREY), "BMP"), GREY
    yield "24 bits", saved(Image.fromarray(RGB), "BMP"), RGB


def _webps() -> Drawn:
    yield "lossless", saved(Image.fromarray(RGB), "WEBP", lossless=True), RGB
    lossy = saved(Image.fromarray(RGB), "WEBP", quality=80)
    yield "lossy", lossy, _by_pillow(lossy)
    second = Image.fromarray(RGB[::-1].copy())
    animated = saved(Image.fromarray(RGB), "WEBP", save_all=True, append_images=[second], lossless=True)
    yield "animated: the first frame (said)", animated, RGB


def _jpegs() -> Drawn:
    grey = saved(Image.fromarray(GREY), "JPEG")
    yield "grey", grey, _by_pillow(grey)
    cmyk = saved(Image.fromarray(RGB).convert("CMYK"), "JPEG")
    yield "CMYK", cmyk, _by_pillow(cmyk)
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    yield "turned by EXIF", saved(Image.fromarray(GREY), "JPEG", exif=exif), np.rot90(_by_pillow(grey), -1)
    several = saved(Image.fromarray(RGB), "MPO", save_all=True, append_images=[Image.fromarray(GREY).convert("RGB")])
    yield "MPO of a phone: the first picture", several, _by_pillow(several)


def _tiffs() -> Drawn:
    for name, compression in (("uncompressed", None), ("LZW", "tiff_lzw"), ("Deflate", "tiff_adobe_deflate")):
        yield f"grey, 8 bits, {name}", saved(Image.fromarray(GREY), "TIFF", compression=compression), GREY
        yield f"RGB, 8 bits, {name}", saved(Image.fromarray(RGB), "TIFF", compression=compression), RGB
    yield "RGB, 8 bits, PackBits", saved(Image.fromarray(RGB), "TIFF", compression="packbits"), RGB
    by_jpeg = saved(Image.fromarray(RGB), "TIFF", compression="jpeg")
    yield "RGB, 8 bits, JPEG inside", by_jpeg, _by_pillow(by_jpeg)
    one_bit = Image.fromarray(BLACK_AND_WHITE).convert("1", dither=Image.Dither.NONE)
    for name, compression in (("uncompressed", None), ("Group 4", "group4")):
        yield f"1 bit, {name}", saved(one_bit, "TIFF", compression=compression), BLACK_AND_WHITE
    cmyk = saved(Image.fromarray(RGB).convert("CMYK"), "TIFF")
    yield "CMYK, 8 bits", cmyk, _by_pillow(cmyk)


def _by_pillow(data: bytes) -> Pixels:
    """What another reader makes of a file whose format changes the pixels."""
    image = Image.open(BytesIO(data))
    return np.asarray(image if image.mode == "L" else image.convert("RGB"))
