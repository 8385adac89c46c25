"""JPEG: decoded only where it is whole. libjpeg fills in what is missing, and only warns; PIL does not hear of it.

simplejpeg is libjpeg-turbo with its warnings as errors, and gives the pixels that PIL gives. What lacks its end marker
alone, or has zeros in its place, is whole. Source: ITU-T T.81, annexes B (markers) and G (progressive scans).

A folder that `anomaly export` has written may do without simplejpeg. Then PIL decodes each picture alone, and other
bytes after the scan and at its end show whether it ends where it should. The pixels are the same. Damage after which a
scan ends in the right place is not noticed, and that is more frequent where scans are progressive or have restarts.
A picture with optimised tables whose end is of one colour may be refused then: other bytes change nothing there.
"""

import re
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, _imaging

from anomaly.data.decoding.appearance import is_to_be_turned, quiet

try:
    import simplejpeg
except ModuleNotFoundError:
    simplejpeg = None

_END = b"\xff\xd9"
_MANY_ZEROS = 4  # bytes
_ZEROED = bytes(_MANY_ZEROS) + _END  # zeros are codes too: where a scan ends in them they may have filled it
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in a scan: no stuffed byte, restart or fill byte
_START_OF_SCAN = b"\xff\xda"
_SCAN, _PROGRESSIVE, _HUFFMAN = 0xDA, 0xC2, 0xC4
_COUNTS = slice(1, 17)  # of the codes of each length, in a table; the symbols follow
_FRAMES = {0xC0, 0xC1, 0xC2}
_MENDABLE = ("Premature end of JPEG file", "extraneous bytes")
_PROBE = b"\xa5" * 64
_MAX_SEGMENTS = 4096  # and bytes between them: a file of 64 MiB has 1,024 that are full
_MAX_SCANS = 256  # programs write up to about 20, and each is a way through all pixels, however few bytes it has
_ALONE = {0x00, 0x01, *range(0xD0, 0xDA)}  # markers without a length, and what is none
_BLOCK = 15  # pixels beyond the edge of a picture
_TAIL = 16  # bytes of a scan whose change shows in the pixels of any picture


def read_jpeg(data: bytes, image: Image.Image) -> Image.Image:
    """The picture of `image`, which PIL has opened and not loaded, and its metadata if they turn it.

    Raises:
        ValueError: a part of it is missing or damaged.
    """
    _check_scans(data)
    if image.mode not in ("L", "RGB"):
        whole = _whole(data, "CMYK")
        return _by_pillow(whole)
    try:
        seen = _seen(data, "GRAY" if image.mode == "L" else "RGBX")
    except _LeftToPillowError:
        seen = _checked_by_pillow(data)
    if is_to_be_turned(image):
        seen.info = image.info
    return seen


def check_whole(data: bytes, *, within: tuple[int, int]) -> None:
    """Raises ValueError if a part of the picture is missing or damaged, or it is larger than `within`.

    It may be filled up to whole blocks of 16 pixels.
    """
    frame = next((body for marker, body, _ in _segments(data) if marker in _FRAMES), b"")
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    if width > within[0] + _BLOCK or height > within[1] + _BLOCK:
        raise ValueError(f"a part of {within[0]} × {within[1]} pixels holds a picture of {width} × {height}")
    _check_scans(data)
    _whole(data, "GRAY")


def check_head(data: bytes) -> None:
    """Raises ValueError for more segments, or bytes between them, before the picture than any program writes.

    PIL reads them one by one, and other pictures wait meanwhile (see `appearance.quiet`): seconds for some megabytes.
    """
    at = 2
    for _ in range(_MAX_SEGMENTS):
        marker = data[at : at + 2]
        if len(marker) < 2 or marker == _START_OF_SCAN:
            return
        if marker[0] != 0xFF or marker[1] == 0xFF:
            at += 1
        elif marker[1] in _ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
    raise ValueError(f"it has more than {_MAX_SEGMENTS:,} segments before its picture")


class _LeftToPillowError(ValueError):
    """simplejpeg is not there, or does not know this way of subsampling: it knows a few, and PIL knows them all."""


def _seen(data: bytes, colours: str) -> Image.Image:
    try:
        pixels = _decoded(data, colours)
        _check_zeros(data, colours)
    except ValueError as error:
        if not any(text in str(error) for text in _MENDABLE):
            raise
        pixels = _decoded(_mended(data, colours, error), colours)
    return Image.fromarray(pixels[:, :, 0]) if colours == "GRAY" else _as_rgb(pixels)


def _as_rgb(pixels: NDArray[np.uint8]) -> Image.Image:
    """Pixels (h, w, 4) as an image of mode RGB, which has four bytes a pixel in PIL, too.

    They are not copied: for a large picture that takes a third as long as decoding it. `Image.frombuffer` keeps the
    buffer of the mode RGBX alone, by the same call.
    """
    mapped = _imaging.map_buffer(pixels, pixels.shape[1::-1], "raw", 0, ("RGB", 0, 1))
    image = Image.new("RGB", (0, 0))._new(mapped)
    image.readonly = 1  # PIL copies it before it changes it
    return image


def _whole(data: bytes, colours: str) -> bytes:
    """The file with its end marker, if it is whole."""
    try:
        _decoded(data, colours, smallest=True)
        _check_zeros(data, colours)
    except _LeftToPillowError:
        _checked_by_pillow(data)
    except ValueError as error:
        if not any(text in str(error) for text in _MENDABLE):
            raise
        return _mended(data, colours, error)
    return data + _END


def _decoded(data: bytes, colours: str, *, smallest: bool = False) -> NDArray[np.uint8]:
    if simplejpeg is None:
        raise _LeftToPillowError("simplejpeg is not installed")
    size = {"min_height": 1, "min_width": 1, "min_factor": 8} if smallest else {}
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colours, **size)
    except ValueError as error:
        if "subsampling" in str(error):
            raise _LeftToPillowError(str(error)) from error
        raise
    return pixels


def _check_zeros(data: bytes, colours: str) -> None:
    """Raises ValueError where zeros before the end mark are a part of the scan, and can be no encoder's."""
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


def _checked_by_pillow(data: bytes) -> Image.Image:
    """By PIL, and refused if the scan does not end where its data do.

    If what follows it changes the pixels, it had no end of its own. If its own last bytes change nothing, it ended
    before them.
    """
    seen = _by_pillow(data + _END)
    pixels = seen.tobytes()
    whole = next((scans for scans in _without_padding(data) if _gives(scans + _PROBE + _END, pixels)), None)
    if whole is None:
        raise ValueError("its scan ends early")
    changed = bytes(value ^ 0xA5 for value in whole[-_TAIL:])
    if _gives(whole[:-_TAIL] + changed + _END, pixels):
        raise ValueError("a part of it is overwritten: the end of its data is not used")
    return seen


def _gives(data: bytes, pixels: bytes) -> bool:
    """Not where PIL refuses what was changed: a change may make a marker, or reach a small picture's header."""
    try:
        return _by_pillow(data).tobytes() == pixels
    except Exception:  # whatever it says of data that are changed on purpose
        return False


def _by_pillow(data: bytes) -> Image.Image:
    with quiet():
        image = JpegImagePlugin.JpegImageFile(BytesIO(data))
    image.load()
    return image


def _without_padding(data: bytes) -> Iterator[bytes]:
    """The file up to the end of its scans: without zeros, and with those that may be the scan's."""
    ends = [at for marker, _, at in _segments(data) if marker == _END[1]]
    padded = data[: ends[0]] if ends else data
    scans = padded.rstrip(b"\0")
    yield scans
    num_zeros = len(padded) - len(scans)
    if 0 < num_zeros < _MANY_ZEROS or (num_zeros and _ends_in_even_blocks(padded)):
        yield padded


def _ends_in_even_blocks(scans: bytes) -> bool:
    """Whether the zeros at the end are codes of an even part of the picture, and no more than it needs.

    Where the first code of each table, which is all zeros and the shortest, says that nothing changes, an encoder may
    end in zeros: then the last bit is used. Had zeros replaced other codes, which are longer, they would be too many.
    Source: ITU-T T.81, annex C and F.1.2.
    """
    first_codes = []
    for marker, body, _ in _segments(scans):
        if marker == _PROGRESSIVE:
            return False
        while marker == _HUFFMAN and len(body) > _COUNTS.stop:
            first_codes.append(body[_COUNTS.stop])
            body = body[_COUNTS.stop + sum(body[_COUNTS]) :]
    if not first_codes or any(first_codes):
        return False
    pixels, changed = _by_pillow(scans + _END).tobytes(), scans[:-1] + b"\1" + _END
    return _is_refused(changed) or not _gives(changed, pixels)


def _is_refused(data: bytes) -> bool:
    """By simplejpeg: tables of one code alone have no other that a changed bit could be."""
    try:
        _decoded(data, "GRAY", smallest=True)
    except _LeftToPillowError:
        return False
    except ValueError:
        return True
    return False


def _check_scans(data: bytes) -> None:
    """Every coefficient of every component must have come, to its last bit; libjpeg takes what has come by then."""
    num_scans = 0
    left: dict[int, dict[int, int]] = {}  # by component: the bits that are still missing, by coefficient
    for marker, body, _ in _segments(data):
        if marker in _FRAMES and not left:
            num_coefficients = 64 if marker == _PROGRESSIVE else 1
            left = {body[6 + 3 * i]: dict.fromkeys(range(num_coefficients), 16) for i in range(body[5])}
        elif marker == _SCAN:
            num_scans += 1
            if num_scans > _MAX_SCANS:
                raise ValueError(f"it has more than {_MAX_SCANS} scans")
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
