"""Masks by the values that their file stores: layouts of TIFF, several pages, and classes that are thin."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data import Mask
from anomaly.data.masks.coding import read_mask
from anomaly.errors import ImageError
from tests.field.rows import Row
from tests.tiffs import Fields, Samples, TiffForm, tiff_of, tiff_of_pages

SECTION = "Codings of masks"
DEFECT = np.zeros((24, 32), np.bool_)
DEFECT[11:17, 7:15] = True
ONES: Samples = DEFECT[:, :, None].astype(np.int64)
WHITE_FIRST: Fields = {320: (3, [*[255, *[0] * 255] * 3])}
LAYOUTS: dict[str, bytes] = {
    "TIFF of 10 bits, 0 and 1,000": tiff_of(ONES * 1000, TiffForm(10)),
    "TIFF of 12 bits, 0 and 4,095": tiff_of(ONES * 4095, TiffForm(12)),
    "TIFF of 16 bits, RGB, 0 and 1": tiff_of(np.repeat(ONES, 3, axis=2), TiffForm(16, 2)),
    "TIFF of 16 bits, one plane for each colour, 0 and 1": tiff_of(
        np.repeat(ONES, 3, axis=2), TiffForm(16, 2, is_planar=True)
    ),
    "TIFF of 16 bits in which 0 is white": tiff_of((1 - ONES) * 65535, TiffForm(16, 0)),
    "TIFF with a palette of 8-bit entries, white first": tiff_of(1 - ONES, TiffForm(8, 3, fields=WHITE_FIRST)),
}
SEVERAL = Row(SECTION, "several pages or frames", "refused, image by image")
THIN = Row(SECTION, "a class of grey 100, 2 pixels wide, beside one of 255", "read")
MANY = Row(SECTION, "more than 16 numbered parts", "refused, image by image")
ROWS: tuple[Row, ...] = (*(Row(SECTION, what, "read") for what in LAYOUTS), SEVERAL, THIN, MANY)


def mask_of(path: Path, data: bytes) -> Mask:
    path.write_bytes(data)
    return read_mask(path)


@pytest.mark.parametrize("what", LAYOUTS)
def test_masks_are_read_by_the_values_that_are_stored(tmp_path: Path, what: str) -> None:
    np.testing.assert_array_equal(mask_of(tmp_path / "mask.tif", LAYOUTS[what]), DEFECT)


def test_masks_of_several_pages_are_refused(tmp_path: Path) -> None:
    page = (ONES * 255, TiffForm())
    with pytest.raises(ImageError, match=r"mask\.tif: this mask has several pages or frames; save"):
        mask_of(tmp_path / "mask.tif", tiff_of_pages([page, page]))


def test_a_thin_class_beside_white_is_read(tmp_path: Path) -> None:
    classes = (DEFECT * 255).astype(np.uint8)
    classes[11:17, 15:17] = 100
    Image.fromarray(classes).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), classes > 0)


def test_many_numbered_parts_are_refused(tmp_path: Path) -> None:
    parts = np.zeros((40, 60), np.uint8)
    for number in range(20):
        parts[4 + 16 * (number % 2) :, 6 * (number // 2) :][:6, :3] = 13 * (number + 1) - 5
    Image.fromarray(parts).save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match=r"mask\.png: has 21 different greys"):
        read_mask(tmp_path / "mask.png")
