"""JPEG: decoded only where it is whole. libjpeg fills in what is missing, and only warns; PIL does not hear of it.

simplejpeg is libjpeg-turbo with its warnings as errors, and gives the pixels that PIL gives. What lacks its end marker
alone, or has zeros in its place, is whole. Source: ITU-T T.81, annexes B (markers) and G (progressive scans).
"""

import re
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

_END = b"\xff\xd9"
_MANY_ZEROS = 4  # bytes
_ZEROED = bytes(_MANY_ZEROS) + _END  # zeros are codes too: where a scan ends in them they may have filled it
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in a scan: no stuffed byte, restart or fill byte
_SCAN, _PROGRESSIVE = 0xDA, 0xC2
_FRAMES = {0xC0, 0xC1, 0xC2}
_MENDABLE = ("Premature end of JPEG file", "extraneous bytes")
_PROBE = b"\xa5" * 64


def read_jpeg(data: bytes, image: Image.Image) -> Image.Image:
    """The picture, with the metadata of `image`, which PIL has opened and not loaded.

    Raises:
        ValueError: a part of it is missing or damaged.
    """
    _check_scans(data)
    if image.mode not in ("L", "RGB"):
        whole = _whole(data, "CMYK")
        return _by_pillow(whole)
    try:
        seen = _pixels(data, "GRAY" if image.mode == "L" else "RGB")
    except _UnknownSamplingError:
        seen = _twice_decoded(data)
    seen.info = image.info
    return seen


def check_whole(data: bytes) -> None:
    """Raises ValueError if a part of the picture is missing or damaged."""
    _check_scans(data)
    _whole(data, "GRAY")


class _UnknownSamplingError(ValueError):
    """libjpeg-turbo's own interface knows a few ways of subsampling only; PIL knows them all."""


def _pixels(data: bytes, colours: str) -> Image.Image:
    try:
        pixels = _decoded(data, colours)
        _check_zeros(data, colours)
    except ValueError as error:
        if not any(text in str(error) for text in _MENDABLE):
            raise
        pixels = _decoded(_mended(data, colours, error), colours)
    return Image.fromarray(pixels[:, :, 0] if colours == "GRAY" else pixels)


def _whole(data: bytes, colours: str) -> bytes:
    """The file with its end marker, if it is whole."""
    try:
        _decoded(data, colours, smallest=True)
        _check_zeros(data, colours)
    except _UnknownSamplingError:
        _twice_decoded(data)
    except ValueError as error:
        if not any(text in str(error) for text in _MENDABLE):
            raise
        return _mended(data, colours, error)
    return data + _END


def _decoded(data: bytes, colours: str, *, smallest: bool = False) -> NDArray[np.uint8]:
    size = {"min_height": 1, "min_width": 1, "min_factor": 8} if smallest else {}
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colours, **size)
    except ValueError as error:
        if "subsampling" in str(error):
            raise _UnknownSamplingError(str(error)) from error
        raise
    return pixels


def _check_zeros(data: bytes, colours: str) -> None:
    """Raises ValueError where zeros before the end mark are a part of the scan: no encoder ends one in so many."""
    if _ZEROED in data:
        _mended(data, colours, ValueError("its scan ends in zeros"))


def _mended(data: bytes, colours: str, error: ValueError) -> bytes:
    """With an end marker, in the place of zeros if there are any."""
    for scans in _without_padding(data):
        try:
            _decoded(scans + _END, colours, smallest=True)
        except ValueError:
            continue
        return scans + _END
    raise error


def _twice_decoded(data: bytes) -> Image.Image:
    """By PIL, and refused if what follows the scan changes the pixels: then the scan had no end of its own."""
    seen = _by_pillow(data + _END)
    pixels = seen.tobytes()
    if not any(_by_pillow(scans + _PROBE + _END).tobytes() == pixels for scans in _without_padding(data)):
        raise ValueError("its scan ends early")
    return seen


def _by_pillow(data: bytes) -> Image.Image:
    image = JpegImagePlugin.JpegImageFile(BytesIO(data))
    image.load()
    return image


def _without_padding(data: bytes) -> Iterator[bytes]:
    """The file up to the end of its scans: without zeros, and with a few that may be the scan's."""
    ends = [at for marker, _, at in _segments(data) if marker == _END[1]]
    padded = data[: ends[0]] if ends else data
    scans = padded.rstrip(b"\0")
    yield scans
    if 0 < len(padded) - len(scans) < _MANY_ZEROS:
        yield padded


def _check_scans(data: bytes) -> None:
    """Every coefficient of every component must have come, to its last bit; libjpeg takes what has come by then."""
    left: dict[int, dict[int, int]] = {}  # by component: the bits that are still missing, by coefficient
    for marker, body, _ in _segments(data):
        if marker in _FRAMES and not left:
            num_coefficients = 64 if marker == _PROGRESSIVE else 1
            left = {body[6 + 3 * i]: dict.fromkeys(range(num_coefficients), 16) for i in range(body[5])}
        elif marker == _SCAN:
            num = body[0]
            first, last, bits = body[1 + 2 * num], body[2 + 2 * num], body[3 + 2 * num] & 15
            for component in body[1 : 1 + 2 * num : 2]:
                missing = left.get(component, {})
                for coefficient in range(first, last + 1):
                    if coefficient in missing:
                        missing[coefficient] = bits
        if left and not any(bits for missing in left.values() for bits in missing.values()):
            return
    raise ValueError("the file is truncated: some of its scans are missing")


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Markers with what they hold and where they are, from the start of the picture to its end or that of the file."""
    at = 2
    while at + 2 <= len(data):
        if data[at] != 0xFF:
            raise ValueError("a marker is missing")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == _END[1]:
            yield marker, b"", at
            return
        length = int.from_bytes(data[at + 2 : at + 4])
        body = data[at + 4 : at + 2 + length]
        if length < 2 or len(body) < length - 2:
            raise ValueError("the file is truncated")
        yield marker, body, at
        at += 2 + length
        if marker == _SCAN:
            found = _NEXT_MARKER.search(data, at)
            if found is None:
                return
            at = found.start()
