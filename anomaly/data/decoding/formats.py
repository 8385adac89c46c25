"""The formats: recognised by content, each looked at by its module, with what PIL does not look at.

Sizes are checked before anything is decoded, and every error names the image.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import takewhile

from PIL import Image, ImageFile, PngImagePlugin, UnidentifiedImageError

from anomaly.data.decoding import bmp, jpeg, png, tiff, webp
from anomaly.data.decoding.appearance import Remark, Seen, quiet, see, turned
from anomaly.data.decoding.limits import Limits, check_size
from anomaly.data.decoding.netpbm import SIGNATURES, PnmHeader, read_pnm
from anomaly.data.decoding.plain_png import read_plain_png
from anomaly.data.decoding.ranges import FULL_RANGE
from anomaly.data.decoding.stored import StoredPixels
from anomaly.data.decoding.tiff_layout import Layout, LayoutError, choose_page, layout_of
from anomaly.data.decoding.tiff_tags import Directory, Tag, read_directories
from anomaly.errors import ImageError, ImageTooLargeError, UndecodableImageError, UnsupportedFormatError

_FORMAT_OF_SIGNATURE = {  # WebP apart: its signature is in two pieces
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    **dict.fromkeys(SIGNATURES, "PNM"),
}
_SHOWN_BYTES = 8
_LEAST_TEXT = 4  # characters that are no accident
_ACCEPTED = "JPEG, PNG, WebP, BMP, TIFF and PNM"


def look_at_bytes(data: bytes, name: str, limits: Limits, value_range: int) -> Seen:
    """The picture in a file's bytes. Raises ImageError."""
    file_format = recognise(data, name)
    with naming(name):
        match file_format:
            case "PNG":
                return _png(data, name, limits, value_range)
            case "TIFF":
                return _tiff(data, name, limits, value_range)
            case "PNM":
                pixels = stored_pnm(data, name, limits)
                image = pixels.to_image(value_range, name=name)
                return see(image, name=name, is_first_of_several=pixels.is_first_of_several)
            case _:
                return _by_pillow(data, file_format, name, limits)


def may_need_range(head: bytes, name: str) -> bool:
    """Whether a file may hold 16 bits of which it does not say how many are used, by its first bytes."""
    file_format = recognise(head, name)
    return file_format in ("TIFF", "PNM") or (file_format == "PNG" and png.has_16_bits(head))


def peak_of(data: bytes, name: str, limits: Limits) -> int | None:
    """The largest value of a picture of 16 bits; None where the file says which value is white. Raises ImageError."""
    file_format = recognise(data, name)
    with naming(name):
        match file_format:
            case "PNG" if png.has_16_bits(data):
                colours, _ = png.wide_values(*open_png_twice(data, name, limits))
                return int(colours.max())
            case "TIFF":
                page, layout, _ = find_page(data, name, limits)
                is_wide = layout.bits == FULL_RANGE and not layout.by_pillow
                return tiff.read_pixels(data, page, layout).peak if is_wide else None
            case "PNM":
                return stored_pnm(data, name, limits).peak
            case _:
                return None


def recognise(data: bytes, name: str) -> str:
    """The format by the first bytes."""
    if not data:
        raise UndecodableImageError(f"{name}: is empty (0 bytes); expected one of {_ACCEPTED}")
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    for signature, file_format in _FORMAT_OF_SIGNATURE.items():
        if data.startswith(signature):
            return file_format
    advice = "give the images that it lists, or their folder" if _is_list(name) else "convert it and try again"
    raise UnsupportedFormatError(
        f"{name}: is not in an accepted image format ({_beginning(data)}); expected one of {_ACCEPTED}: {advice}"
    )


def _is_list(name: str) -> bool:
    return name.lower().endswith((".csv", ".txt", ".json", ".jsonl"))


def _beginning(data: bytes) -> str:
    """How a file begins, for people: with a text, as `GIF89a`, or else with which bytes, in base 16."""
    first = data[:_SHOWN_BYTES]
    text = "".join(takewhile(lambda each: each.isascii() and each.isprintable(), first.decode("latin-1")))
    is_text = len(text) >= min(_LEAST_TEXT, len(first))
    return f"it begins with the text '{text}'" if is_text else f"it begins with the bytes {first.hex(' ')}"


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Turns whatever a decoder raises on a damaged file into one error that names the image."""
    try:
        yield
    except ImageError:
        raise
    except LayoutError as error:
        raise UnsupportedFormatError(f"{name}: {error}") from error
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(f"{name}: has more pixels than can be decoded safely; scale it down") from error
    except UnidentifiedImageError as error:
        raise UndecodableImageError(
            f"{name}: cannot be decoded (its header is damaged or says 0 pixels); export it again"
        ) from error
    except Exception as error:
        reason = _reason_of(error)
        raise UndecodableImageError(f"{name}: cannot be decoded ({reason}); export it again") from error


def _reason_of(error: Exception) -> str:
    """What decoders say in words; what Python says of an index or a type tells the owner of the file nothing."""
    if isinstance(error, MemoryError):
        return "there is too little memory for it"
    is_in_words = isinstance(error, (OSError, SyntaxError, ValueError, EOFError, zlib.error))
    return (str(error) if is_in_words else "") or "its data are damaged"


def open_prepared(data: bytes, file_format: str, name: str, limits: Limits) -> ImageFile.ImageFile:
    """Opened by PIL and not loaded, with what PIL mistakes in it corrected. Raises ImageError and what PIL raises."""
    match file_format:
        case "BMP":
            bmp.check_header(data)
        case "JPEG":
            jpeg.check_head(data)
        case "PNG":
            png.check_chunks(data)
    with quiet():
        image = Image.open(BytesIO(data), formats=[file_format])
    check_size(image.size, name, limits)
    match file_format:
        case "BMP":
            bmp.prepare(data, image)
        case "PNG":
            png.correct_transparent_colour(data, image)
    return image


def _by_pillow(data: bytes, file_format: str, name: str, limits: Limits) -> Seen:
    image = open_prepared(data, file_format, name, limits)
    if file_format == "JPEG":
        return see(jpeg.read_jpeg(data, image), name=name)
    seen = see(image, name=name, is_first_of_several=getattr(image, "is_animated", False))
    match file_format:
        case "BMP":
            bmp.check_indices(data, image)
        case "WEBP":
            webp.check_end(data, image)
    return seen


def _png(data: bytes, name: str, limits: Limits, value_range: int) -> Seen:
    plain = read_plain_png(data, limits)
    if plain is not None:
        return Seen(plain)
    image = open_prepared(data, "PNG", name, limits)
    is_animated = bool(getattr(image, "is_animated", False))
    is_wide_colour = png.has_16_bits(data) and not image.mode.startswith("I;16")
    if is_wide_colour and (value_range < FULL_RANGE or "transparency" in image.info):
        colours, alpha = png.wide_values(*open_png_twice(data, name, limits))
        narrowed = png.narrowed(colours, alpha, value_range, name=name)
        image.load()
        narrowed.info = {key: value for key, value in image.info.items() if key != "transparency"}
        seen = see(narrowed, name=name, is_first_of_several=is_animated)
    else:
        seen = see(image, name=name, value_range=value_range, is_first_of_several=is_animated)
    png.check_rows(data, image)
    png.check_indices(data, image)
    return seen


def open_png_twice(
    data: bytes, name: str, limits: Limits
) -> tuple[PngImagePlugin.PngImageFile, PngImagePlugin.PngImageFile]:
    """For `png.wide_values`. Raises ImageError and what PIL raises."""
    png.check_chunks(data)
    with quiet():
        first, again = (PngImagePlugin.PngImageFile(BytesIO(data)) for _ in range(2))
    check_size(first.size, name, limits)
    return first, again


def _tiff(data: bytes, name: str, limits: Limits, value_range: int) -> Seen:
    page, layout, is_first = find_page(data, name, limits)
    if layout.by_pillow:
        with quiet():
            image: Image.Image = Image.open(BytesIO(data), formats=["TIFF"])
            image.seek(layout.page or 0)
            image.load()  # here, because it reads metadata, of whose damages PIL warns
        return see(image, name=name, is_first_of_several=is_first)
    pixels = tiff.read_pixels(data, page, layout)
    seen = see(pixels.to_image(value_range, name=name), name=name, is_first_of_several=is_first)
    remarks = seen.remarks | ({Remark.BANDS_IGNORED} if layout.ignores_samples else set())
    return Seen(turned(seen.image, page.value(Tag.ORIENTATION, 1)), remarks)


def find_page(data: bytes, name: str, limits: Limits) -> tuple[Directory, Layout, bool]:
    """The page of a TIFF that is meant, how it is stored, and whether it is the first of several.

    Raises:
        LayoutError, ValueError, ImageTooLargeError: there is none that is read.
    """
    page, is_first_of_several = choose_page(read_directories(data))
    check_size(page.size, name, limits)
    layout = layout_of(page)
    if layout.by_pillow:
        tiff.check_by_pillow(data, page, layout)
    return page, layout, is_first_of_several


def stored_pnm(data: bytes, name: str, limits: Limits) -> StoredPixels:
    """The values of a PNM. Raises ValueError and ImageTooLargeError."""
    header = PnmHeader(data)
    check_size((header.width, header.height), name, limits)
    return read_pnm(data, header)
