"""What the pixels of a mask file mean."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from anomaly.data.masks.coding import looks_inverted, read_mask
from anomaly.errors import ImageError

Defect = NDArray[np.bool_]
Pixels = NDArray[np.uint8]


def defect() -> Defect:
    """Of two places: 40 × 48 pixels."""
    marked = np.zeros((40, 48), np.bool_)
    marked[4:20, 5:30] = True
    marked[30:33, 40:44] = True
    return marked


def palette(index: Pixels, *colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(index).convert("L")
    image = Image.frombytes("P", image.size, index.tobytes())
    image.putpalette([value for colour in colours for value in colour])
    return image


def coloured(marked: Defect, ground: tuple[int, ...], *colours: tuple[int, ...]) -> Image.Image:
    """Each half of the defect, left and right, in a colour of its own."""
    pixels = np.empty((*marked.shape, len(ground)), np.uint8)
    pixels[:] = ground
    for half, colour in enumerate(colours):
        columns = np.arange(marked.shape[1]) // 20 % len(colours) == half
        pixels[marked & columns] = colour
    return Image.fromarray(pixels)


def grey(marked: Defect, value: int, dtype: type = np.uint8) -> Image.Image:
    return Image.fromarray((marked * value).astype(dtype))


def transparent(marked: Defect, colour: tuple[int, int, int], ground: tuple[int, int, int]) -> Image.Image:
    return coloured(marked, (*ground, 0), (*colour, 255))


RED, BLUE, BLACK, WHITE = (250, 50, 83), (10, 20, 60), (0, 0, 0), (255, 255, 255)

CODINGS: dict[str, tuple[str, Callable[[Defect], Image.Image]]] = {
    "0/255": ("png", lambda m: grey(m, 255)),
    "0/1": ("png", lambda m: grey(m, 1)),
    "0/100": ("bmp", lambda m: grey(m, 100)),
    "classes 1 and 3": ("png", lambda m: grey(m, 1).point(lambda v: 3 * v)),
    "1 bit": ("png", lambda m: Image.fromarray(m)),
    "1 bit TIFF": ("tif", lambda m: Image.fromarray(m)),
    "16 bits 0/1": ("png", lambda m: grey(m, 1, np.uint16)),
    "16 bits 0/100": ("tif", lambda m: grey(m, 100, np.uint16)),
    "16 bits 0/65535": ("png", lambda m: grey(m, 65535, np.uint16)),
    "grey as colour": ("png", lambda m: grey(m, 255).convert("RGB")),
    "colours, one dark": ("png", lambda m: coloured(m, BLACK, RED, BLUE)),
    "palette": ("png", lambda m: palette(m.astype(np.uint8), BLACK, BLUE)),
    "palette, ground white": ("png", lambda m: palette(m.astype(np.uint8), WHITE, RED)),
    "palette, all black": ("png", lambda m: palette(m.astype(np.uint8), BLACK, BLACK)),
    "palette, white first": ("png", lambda m: palette((~m).astype(np.uint8), WHITE, BLACK)),
    "alpha alone, black": ("png", lambda m: transparent(m, BLACK, BLACK)),
    "alpha alone, red on white": ("png", lambda m: transparent(m, RED, WHITE)),
    "alpha full": ("png", lambda m: coloured(m, (*BLACK, 255), (*RED, 255))),
    "alpha 0 throughout": ("png", lambda m: coloured(m, (*BLACK, 0), (*RED, 0))),
    "JPEG": ("jpg", lambda m: grey(m, 255)),
    "WebP": ("webp", lambda m: grey(m, 255).convert("RGB")),
    "JPEG saved as PNG": ("png", lambda m: grey(m, 255)),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_every_coding_marks_the_same_pixels(tmp_path: Path, coding: str) -> None:
    suffix, draw = CODINGS[coding]
    path = tmp_path / f"mask.{suffix}"
    if coding == "JPEG saved as PNG":
        draw(defect()).save(tmp_path / "mask.jpg", quality=75)
        Image.open(tmp_path / "mask.jpg").save(path)
    else:
        draw(defect()).save(path)
    mask = read_mask(path)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, defect())


def test_several_classes_are_all_defects(tmp_path: Path) -> None:
    classes = np.zeros((20, 20), np.uint8)
    classes[2:6, 2:6], classes[10:14, 2:6], classes[10:18, 10:18] = 1, 7, 255
    Image.fromarray(classes).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), classes > 0)


@pytest.mark.parametrize("label", [50, 100, 127, 200])
def test_a_thin_class_beside_white_is_a_defect(tmp_path: Path, label: int) -> None:
    classes = np.zeros((60, 60), np.uint8)
    classes[10:40, 10:40] = 255
    classes[10:40, 40:42] = label
    for row in range(20):  # 2 pixels wide, aslant
        classes[40 + row, 10 + row : 12 + row] = label
    Image.fromarray(classes).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), classes > 0)


def test_more_numbered_parts_than_classes_are_refused_and_none_dropped(tmp_path: Path) -> None:
    parts = np.zeros((100, 100), np.uint8)
    for number in range(20):
        top, left = 20 * (number // 5), 20 * (number % 5)
        parts[top + 2 : top + 6, left + 2 : left + 6] = round((number + 1) * 255 / 20)
    Image.fromarray(parts).save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match="21 different greys"):
        read_mask(tmp_path / "mask.png")


def antialiased(kind: str) -> Image.Image:
    """A white shape drawn at four times its size; `twice` is enlarged again, so that each pixel is four."""
    large = Image.new("L", (240, 240))
    draw = ImageDraw.Draw(large)
    if "box" in kind:
        draw.rectangle((43, 42, 150, 161), fill=255)
    else:
        draw.polygon([(30, 40), (200, 60), (170, 190), (90, 210)], fill=255)
    small = large.resize((60, 60), Image.Resampling.BOX)
    return small.resize((120, 120), Image.Resampling.NEAREST) if "twice" in kind else small


@pytest.mark.parametrize("kind", ["box", "polygon", "box, twice", "polygon, twice"])
def test_antialiased_edges_count_from_mid_grey(tmp_path: Path, kind: str) -> None:
    mask = antialiased(kind)
    mask.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), np.asarray(mask) >= 128)


def test_a_transparent_ground_with_black_and_colours_drawn_on_it(tmp_path: Path) -> None:
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[5:15, 5:15] = (0, 0, 0, 255)
    pixels[8:10, 8:10] = (*RED, 255)
    pixels[0, 0] = (*RED, 0)
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    assert np.argwhere(read_mask(tmp_path / "mask.png")).tolist() == [[8, 8], [8, 9], [9, 8], [9, 9]]


@pytest.mark.parametrize("radius", [0.5, 0.9])
def test_smoothed_edges_count_from_mid_grey(tmp_path: Path, radius: float) -> None:
    """As they did before codings were told apart, so that figures of such masks stay."""
    smooth = grey(defect(), 255).filter(ImageFilter.GaussianBlur(radius))
    smooth.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), np.asarray(smooth) >= 128)


def test_a_white_is_zero_tiff_of_16_bits(tmp_path: Path) -> None:
    """Photometric interpretation 0 (TIFF 6.0, section 4): 0 is white."""
    grey(~defect(), 65535, np.uint16).save(tmp_path / "mask.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "mask.tif") as image:
        assert image.tag_v2[262] == 0  # type: ignore[attr-defined]
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif"), defect())


def test_a_mask_is_turned_as_its_metadata_say(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    grey(defect(), 255).save(tmp_path / "mask.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), np.rot90(defect(), -1))


def test_an_empty_mask_is_empty_and_a_full_one_full(tmp_path: Path) -> None:
    for suffix in ("png", "jpg"):
        for value in (0, 255):
            Image.new("L", (16, 16), value).save(tmp_path / f"mask.{suffix}")
            assert (read_mask(tmp_path / f"mask.{suffix}") == (value > 0)).all()


def photograph(seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (40, 48), dtype=np.uint8)


REFUSED: dict[str, tuple[str, Callable[[], Image.Image], str]] = {
    "a photograph": ("png", lambda: Image.fromarray(photograph()), "different greys, as a picture"),
    "a dark photograph with lights": (
        "png",
        lambda: Image.fromarray(np.where(defect(), 250, photograph() // 8).astype(np.uint8)),
        "different greys, as a picture",
    ),
    "a photograph as JPEG": ("jpg", lambda: Image.fromarray(photograph()), "greys beside the edges"),
    "a photograph in colours": (
        "png",
        lambda: Image.fromarray(np.stack([photograph(seed) for seed in range(3)], axis=2)),
        "colours, as a picture",
    ),
    "a soft map": (
        "png",
        lambda: Image.fromarray(np.add.outer(np.arange(40), 4 * np.arange(48)).astype(np.uint8)),
        "different greys, as a picture",
    ),
    "no background": ("png", lambda: grey(defect(), 155).point(lambda v: v + 100), "no pixel of this mask is 0"),
    "no black": ("png", lambda: coloured(defect(), WHITE, RED), "no pixel of this mask is black"),
    "palette with black elsewhere": (
        "png",
        lambda: palette(defect().astype(np.uint8), RED, BLACK),
        "index 0 of its palette is not black",
    ),
    "colours in a JPEG": ("jpg", lambda: coloured(defect(), BLACK, RED), "has colours, which its format blurs"),
    "a dark JPEG": ("jpg", lambda: grey(defect(), 100), "the brightest pixel of this mask is 1"),
}


@pytest.mark.parametrize("coding", REFUSED)
def test_what_cannot_be_told_is_refused(tmp_path: Path, coding: str) -> None:
    suffix, draw, said = REFUSED[coding]
    path = tmp_path / f"mask.{suffix}"
    draw().save(path)
    with pytest.raises(ImageError, match=said) as caught:
        read_mask(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    grey(defect(), 255).save(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ImageError, match=r"mask\.png: cannot be decoded"):
        read_mask(path)


def test_inverted_masks_look_so() -> None:
    assert looks_inverted(~defect())
    assert not looks_inverted(defect())
    assert not looks_inverted(np.ones((4, 4), np.bool_))
    assert not looks_inverted(np.zeros((4, 4), np.bool_))
    whole_part = np.ones((40, 40), np.bool_)
    whole_part[0] = False
    assert not looks_inverted(whole_part)
    assert not looks_inverted(np.ones((1, 1), np.bool_))
