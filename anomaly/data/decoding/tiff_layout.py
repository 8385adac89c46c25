"""Which TIFFs are read: an allow-list over what the fields say of the pixels, and which page is meant.

Everything else is refused with its reason. Source: TIFF 6.0, sections 3 to 9 (baseline), 14 (predictor), 15 (tiles),
16 (CMYK), 18 (extra samples), 19 (sample format), and Technical Note 2 (JPEG).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from anomaly.counted import counted
from anomaly.data.decoding.tiff_tags import Directory, Tag

_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4}  # samples of a pixel by photometric interpretation, without extra ones
_NAMES = {4: "a mask", 6: "YCbCr", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "raw data of a camera"}
_UNPACKED = {1: "none", 5: "LZW", 8: "Deflate", 32946: "Deflate", 32773: "PackBits"}
_JPEG, GROUP_4 = 7, 4
_MAX_SAMPLES = 8
_MAX_TILE = 1024  # pixels a side, where the picture is smaller
_ADVICE = "save it as an uncompressed TIFF or a PNG of 8 or 16 bits, grey or RGB"


class Photometric(IntEnum):
    """What the samples of a pixel mean, of those that are read here."""

    WHITE_IS_ZERO = 0
    BLACK_IS_ZERO = 1
    RGB = 2
    PALETTE = 3
    CMYK = 5


class Alpha(IntEnum):
    """What one extra sample means (ExtraSamples)."""

    UNSPECIFIED = 0
    ASSOCIATED = 1
    UNASSOCIATED = 2


@dataclass(frozen=True)
class Layout:
    """How the pixels of a page are stored; every combination of these values is read.

    `num_colours` of the `num_samples` of a pixel are what is seen; `alpha` says what the next one is, if it counts.
    `cell` is the width and height of a tile, or of a strip. `by_pillow`: JPEG and Group 4, which PIL decodes.
    """

    page: int | None
    width: int
    height: int
    bits: int
    photometric: Photometric
    num_samples: int
    num_colours: int
    alpha: Alpha | None
    is_planar: bool
    compression: int
    has_predictor: bool
    has_reversed_bits: bool
    cell: tuple[int, int]
    is_tiled: bool
    by_pillow: bool

    @property
    def ignores_samples(self) -> bool:
        """Whether there are samples beside colour and alpha, such as near infrared."""
        return self.num_samples > self.num_colours + (self.alpha is not None)


class LayoutError(ValueError):
    """Pixels that are not read, because what they mean is not certain or not known here."""


def choose_page(directories: list[Directory]) -> tuple[Directory, bool]:
    """The page in full resolution, and whether it is the first of several.

    Thumbnails, reduced copies and transparency masks are passed over.

    Raises:
        LayoutError: no page is in full resolution, or the first of them is smaller than another.
    """
    full = [each for each in directories if not each.is_reduced_or_mask and min(each.size) > 0]
    if not full:
        raise LayoutError("none of its pages is a picture in full resolution; export it again")
    first, *others = full
    larger = next((each for each in others if _area(each) > _area(first)), None)
    if larger is not None:
        raise LayoutError(
            f"its first picture has {_size(first)} pixels and a later one {_size(larger)}, so the first may be a "
            "thumbnail; save the one that is meant alone"
        )
    return first, bool(others)


def layout_of(page: Directory) -> Layout:
    """How the page is stored.

    Raises:
        LayoutError: it is not one of the combinations that are read.
    """
    compression = page.value(Tag.COMPRESSION, 1)
    bits, num_samples = _bits(page), page.value(Tag.SAMPLES_PER_PIXEL, 1)
    if compression == _JPEG or (compression == GROUP_4 and bits == num_samples == 1):
        return _as_pillow_reads(page, compression, bits, num_samples)
    if compression not in _UNPACKED:
        known = ", ".join(dict.fromkeys(_UNPACKED.values()))
        raise LayoutError(f"its compression {compression} is not read (but {known}, JPEG and Group 4); {_ADVICE}")
    photometric = _photometric(page)
    _check_samples(page, bits, photometric)
    num_colours = _COLOURS[photometric]
    alpha = _alpha(page, photometric, num_samples - num_colours)
    planar, predictor = page.value(Tag.PLANAR, 1), page.value(Tag.PREDICTOR, 1)
    if planar not in (1, 2) or (planar == 2 and bits < 8 and num_samples > 1):
        raise LayoutError(f"its PlanarConfiguration is {planar} with {counted(bits, 'bit')} a sample; {_ADVICE}")
    has_predictor = predictor == 2 and compression in (5, 8, 32946)
    if not (predictor == 1 or (has_predictor and bits in (8, 16))):
        raise LayoutError(
            f"its predictor {predictor} is not read with {counted(bits, 'bit')} and compression {compression}; "
            f"{_ADVICE}"
        )
    fill_order = page.value(Tag.FILL_ORDER, 1)
    if fill_order != 1 and not (fill_order == 2 and bits == 1 and compression == 1):
        raise LayoutError(f"its FillOrder {fill_order} is not read with {counted(bits, 'bit')} a sample; {_ADVICE}")
    return Layout(
        page=page.page,
        width=page.size[0],
        height=page.size[1],
        bits=bits,
        photometric=photometric,
        num_samples=num_samples,
        num_colours=num_colours,
        alpha=alpha,
        is_planar=planar == 2 and num_samples > 1,
        compression=compression,
        has_predictor=has_predictor,
        has_reversed_bits=fill_order == 2,
        cell=_cell(page),
        is_tiled=Tag.TILE_OFFSETS in page.fields,
        by_pillow=False,
    )


def _as_pillow_reads(page: Directory, compression: int, bits: int, num_samples: int) -> Layout:
    photometric = page.value(Tag.PHOTOMETRIC, -1)
    is_known = compression == GROUP_4 or (bits == 8 and (num_samples, photometric) in {(1, 1), (3, 2), (3, 6)})
    if not is_known or photometric < 0 or page.page is None or page.value(Tag.FILL_ORDER, 1) != 1:
        raise LayoutError(
            f"its kind of {'JPEG' if compression == _JPEG else 'Group 4'} compression is not read; {_ADVICE}"
        )
    return Layout(
        page=page.page,
        width=page.size[0],
        height=page.size[1],
        bits=bits,
        photometric=Photometric.RGB if num_samples == 3 else Photometric.BLACK_IS_ZERO,
        num_samples=num_samples,
        num_colours=num_samples,
        alpha=None,
        is_planar=page.value(Tag.PLANAR, 1) == 2,
        compression=compression,
        has_predictor=False,
        has_reversed_bits=False,
        cell=_cell(page),
        is_tiled=Tag.TILE_OFFSETS in page.fields,
        by_pillow=True,
    )


def _bits(page: Directory) -> int:
    bits = set(page.values(Tag.BITS_PER_SAMPLE, (1,)))
    if len(bits) != 1:
        raise LayoutError(f"its samples have different numbers of bits ({_listed(sorted(bits))}); {_ADVICE}")
    return bits.pop()


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, values)) or "nothing"


def _photometric(page: Directory) -> Photometric:
    value = page.value(Tag.PHOTOMETRIC, -1)
    if value < 0:
        raise LayoutError(f"it does not say whether 0 is black or white (PhotometricInterpretation); {_ADVICE}")
    if value not in _COLOURS:
        raise LayoutError(f"its pixels are {_NAMES.get(value, f'of PhotometricInterpretation {value}')}; {_ADVICE}")
    return Photometric(value)


def _check_samples(page: Directory, bits: int, photometric: Photometric) -> None:
    formats = set(page.values(Tag.SAMPLE_FORMAT, (1,)))
    if formats != {1}:
        kind = {2: "signed integers", 3: "floating-point numbers"}.get(
            min(formats, default=0), f"of SampleFormat {_listed(sorted(formats))}"
        )
        raise LayoutError(
            f"its samples are {kind}, which have no fixed range from black to white; scale them to 8 or 16 bits "
            "without a sign"
        )
    allowed = {Photometric.PALETTE: (1, 2, 4, 8), Photometric.RGB: (8, 10, 12, 14, 16), Photometric.CMYK: (8, 16)}
    if bits not in allowed.get(photometric, (1, 2, 4, 8, 10, 12, 14, 16)):
        kind = "grey" if photometric in (Photometric.WHITE_IS_ZERO, Photometric.BLACK_IS_ZERO) else photometric.name
        raise LayoutError(f"it is {kind} of {counted(bits, 'bit')} a sample, which is not read; {_ADVICE}")
    if photometric is Photometric.CMYK and page.value(Tag.INK_SET, 1) != 1:
        raise LayoutError(f"its inks are not cyan, magenta, yellow and black; {_ADVICE}")


def _alpha(page: Directory, photometric: Photometric, num_extra: int) -> Alpha | None:
    """What the first extra sample is, None if none counts."""
    extra = page.values(Tag.EXTRA_SAMPLES)
    if photometric is Photometric.RGB and num_extra == 1 and not extra:
        extra = (Alpha.UNASSOCIATED,)  # so do most programs that leave the field away
    if num_extra < 0 or len(extra) != num_extra or not set(extra) <= set(Alpha):
        raise LayoutError(
            f"it has {counted(num_extra + _COLOURS[photometric], 'sample')} a pixel, and {photometric.name} needs "
            f"{_COLOURS[photometric]}; its ExtraSamples say {_listed(extra)} of the others; {_ADVICE}"
        )
    if num_extra + _COLOURS[photometric] > _MAX_SAMPLES or (photometric is not Photometric.RGB and num_extra > 1):
        raise LayoutError(
            f"it has {num_extra + _COLOURS[photometric]} bands, and does not say which of them is to be seen; save the "
            "band that is meant as grey, or three of them as RGB"
        )
    if not extra or extra[0] == Alpha.UNSPECIFIED:
        return None
    if photometric in (Photometric.CMYK, Photometric.PALETTE):
        raise LayoutError(f"it has {photometric.name} with transparency; {_ADVICE}")
    return Alpha(extra[0])


def _cell(page: Directory) -> tuple[int, int]:
    """Width and height of a tile or of a strip, in pixels."""
    width, height = page.size
    if Tag.TILE_OFFSETS in page.fields:
        cell = page.value(Tag.TILE_WIDTH, 0), page.value(Tag.TILE_LENGTH, 0)
        if min(cell) < 1 or cell[0] > max(width + 15, _MAX_TILE) or cell[1] > max(height + 15, _MAX_TILE):
            raise LayoutError(f"its tiles are of {cell[0]} × {cell[1]} pixels; {_ADVICE}")
        return cell
    rows = page.value(Tag.ROWS_PER_STRIP, height)
    if rows < 1:
        raise LayoutError("its strips have no rows; export it again")
    return width, min(rows, height)


def _area(page: Directory) -> int:
    return page.size[0] * page.size[1]


def _size(page: Directory) -> str:
    return f"{page.size[0]} × {page.size[1]}"
