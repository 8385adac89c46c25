"""Images of every format, kind and orientation, and what becomes of their files by accident or by malice.

Shapes: h height, w width. A sample's `seen` pixels are what a person sees in it, (h, w) or (h, w, 3); but for JPEG's
they are computed without PIL.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.bad_files import png_chunk

Pixels = NDArray[np.uint8]

HEIGHT, WIDTH = 17, 24
ORIENTATION = 0x0112
ORIENTATIONS = range(1, 9)
HOLDS = {  # which kinds a format can hold; what BMP takes of alpha, nobody shows
    "PNG": ("grey", "colour", "grey-alpha", "alpha", "palette", "16-bit", "1-bit"),
    "TIFF": ("grey", "colour", "grey-alpha", "alpha", "palette", "16-bit", "1-bit", "cmyk"),
    "WEBP": ("grey", "colour", "alpha"),
    "BMP": ("grey", "colour", "palette", "1-bit"),
    "JPEG": ("grey", "colour", "cmyk"),
}
NUMBERS = [0, 1, 127, 128, 255, 256, 32767, 65535, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
TURNS = {  # what an EXIF orientation tells a viewer to do with the pixels
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x.swapaxes(0, 1)[::-1, ::-1],
    8: lambda x: np.rot90(x, 1),
}


@dataclass(frozen=True)
class Sample:
    """A file, and the pixels that a person sees in it."""

    name: str
    data: bytes
    seen: Pixels


def samples() -> Iterator[Sample]:
    """Every kind in every format that holds it, in every orientation that the format can tell."""
    for file_format, kinds in HOLDS.items():
        for kind in kinds:
            image, seen = _draw(kind)
            for orientation in ORIENTATIONS if file_format != "BMP" else [1]:
                data = _save(image, file_format, orientation)
                if file_format == "JPEG":  # loses: what was kept is what counts
                    seen = _seen_of_jpeg(data)
                yield Sample(f"{file_format} {kind} {orientation}", data, TURNS[orientation](seen))


def png_of(seen: Pixels) -> bytes:
    """Plain pixels as the plainest file."""
    return _save(Image.fromarray(np.ascontiguousarray(seen)), "PNG", 1)


def mutated(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """`count` damaged files, each by its own seed, with names that tell what was done to what."""
    files = [(sample.name, sample.data) for sample in samples()]
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        name, data = files[int(rng.integers(len(files)))]
        _, other = files[int(rng.integers(len(files)))]
        steps = []
        for _ in range(int(rng.integers(1, 4))):
            mutation = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
            steps.append(mutation.__name__.strip("_"))
            data = mutation(data, other, rng)
        if data.startswith(b"\x89PNG") and rng.random() < 0.5:
            steps.append("sum again")
            data = _sum_again(data)
        yield f"#{i} {name}: {', '.join(steps)}", data


def _draw(kind: str) -> tuple[Image.Image, Pixels]:
    """An image of this kind without symmetry, and what is seen of it."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    grey = (rows * 9 + columns * 4).astype(np.uint8)
    colour = np.dstack([grey, 255 - grey, (columns * 10).astype(np.uint8)])
    opaque = ((rows + 2 * columns) % 5 > 0).astype(np.uint8) * 255
    match kind:
        case "grey":
            return Image.fromarray(grey), grey
        case "colour":
            return Image.fromarray(colour), colour
        case "grey-alpha":
            return Image.fromarray(np.dstack([grey, opaque]), "LA"), np.where(opaque > 0, grey, 255).astype(np.uint8)
        case "alpha":
            seen = np.where(opaque[:, :, None] > 0, colour, 255).astype(np.uint8)
            return Image.fromarray(np.dstack([colour, opaque])), seen
        case "palette":
            table = (np.arange(768).reshape(256, 3) * 37 % 256).astype(np.uint8)
            image = Image.fromarray(grey, "P")
            image.putpalette(table.tobytes())
            return image, table[grey]
        case "16-bit":
            return Image.fromarray(grey.astype(np.uint16) * 257), grey
        case "1-bit":
            bits = (grey > 128).astype(np.uint8) * 255
            return Image.fromarray(bits).convert("1"), bits
        case "cmyk":
            inks = np.dstack([colour, np.zeros_like(grey)])  # no black, so that each ink is one colour's lack
            return Image.fromarray(inks, "CMYK"), 255 - colour
    raise AssertionError(kind)


def _save(image: Image.Image, file_format: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, object] = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    if orientation > 1:
        options["exif"] = exif
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _seen_of_jpeg(data: bytes) -> Pixels:
    with Image.open(BytesIO(data)) as image:
        return np.array(image.convert("RGB") if image.mode == "CMYK" else image)


def _flip_bits(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 17))):
        damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _flip_bits_of_the_head(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        damaged[int(rng.integers(min(len(damaged), 64)))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _write_a_number(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    number = NUMBERS[int(rng.integers(len(NUMBERS)))]
    size = int(rng.choice([1, 2, 4]))
    at = int(rng.integers(len(data)))
    written: bytes = (number % 2 ** (8 * size)).to_bytes(size, "little" if rng.random() < 0.5 else "big")
    return data[:at] + written + data[at + size :]


def _cut(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(1, len(data) + 1))]


def _delete(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    start, length = _piece(data, rng)
    return data[:start] + data[start + length :] or b"\0"


def _repeat(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    start, length = _piece(data, rng)
    return data[: start + length] + data[start : start + length] * int(rng.integers(1, 9)) + data[start + length :]


def _insert(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + rng.bytes(int(rng.integers(1, 65))) + data[at:]


def _fill(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    start, length = _piece(data, rng)
    return data[:start] + (b"\0" if rng.random() < 0.5 else b"\xff") * length + data[start + length :]


def _splice(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(1, len(data) + 1))
    return data[:at] + other[int(rng.integers(len(other))) :]


def _piece(data: bytes, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, int(rng.integers(1, min(65, len(data) - start + 1)))


def _sum_again(png: bytes) -> bytes:
    """Right checksums, as far as there are chunks: what is damaged must then be found by reading it."""
    chunks, start = [png[:8]], 8
    while start + 12 <= len(png):
        length = int.from_bytes(png[start : start + 4])
        kind, body = png[start + 4 : start + 8], png[start + 8 : start + 8 + length]
        chunks.append(png_chunk(kind, body) if len(body) == length else png[start:])
        start += 12 + length
    return b"".join(chunks)


MUTATIONS = [
    _flip_bits, _flip_bits_of_the_head, _write_a_number, _cut, _delete, _repeat, _insert, _fill, _splice,
]  # fmt: skip
