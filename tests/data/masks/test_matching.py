"""Which mask belongs to which image."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data.masks.matching import check_some_used, match_masks, open_masks
from anomaly.data.masks.names import AFFIXES, image_names
from anomaly.errors import DataError, ImageError


def touch(root: Path, *names: str) -> list[Path]:
    paths = [root / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def matched(tmp_path: Path, images: str, masks: str) -> dict[str, list[str]]:
    """By names: of images below test/cut, and of masks below ground_truth/cut."""
    test, truth = tmp_path / "test" / "cut", tmp_path / "ground_truth" / "cut"
    touch(truth, *masks.split())
    found = match_masks(touch(test, *images.split()), truth)
    return {str(k.relative_to(test)): [str(p.relative_to(truth)) for p in v] for k, v in found.items()}


@pytest.mark.parametrize(
    "mask",
    [
        *("a.png", "a.PNG", "a.bmp", "a.Tiff", "a.jpg", "a.webp", "A.png", "a.jpg.png"),
        *("a_mask.png", "a_Mask.BMP", "a-mask.png", "a.mask.png", "a_mask_0.png"),
        *("a_gt.png", "a_GT.tif", "a_label.bmp", "a_seg.png", "a_ground_truth.png", "a_groundtruth.png"),
        *("mask_a.png", "gt_a.png", "label-a.png", "a/000.png", "a/mask.png", "a_mask/000.png", "a.jpg_mask.png"),
    ],
)
def test_names_of_a_mask(tmp_path: Path, mask: str) -> None:
    assert matched(tmp_path, "a.jpg b.jpg", mask) == {"a.jpg": [mask]}


@pytest.mark.parametrize("other", ["ab.png", "a_1.png", "a_x.png", "amask.png", "mask.png", "a_mask.txt", "c/000.png"])
def test_other_names_are_nobodys(tmp_path: Path, other: str) -> None:
    assert matched(tmp_path, "a.jpg b.jpg", other) == {}


@pytest.mark.parametrize(
    "masks", ["a/000.png a/001.png a/002.png", "a_mask_0.png a_mask_1.png", "a_mask1.png a_mask2.png"]
)
def test_several_are_united(tmp_path: Path, masks: str) -> None:
    assert matched(tmp_path, "a.jpg b.jpg", masks) == {"a.jpg": masks.split()}


def test_the_folders_below_a_class_are_told_apart(tmp_path: Path) -> None:
    images = "0.png left/0.png right/0.png"
    masks = "0_mask.png left/0_mask.png right/0_mask.png"
    assert matched(tmp_path, images, masks) == {i: [m] for i, m in zip(images.split(), masks.split(), strict=True)}


def test_a_name_that_is_written_alike_wins(tmp_path: Path) -> None:
    assert matched(tmp_path, "a.png A.png", "A_mask.png a_mask.png") == {
        "a.png": ["a_mask.png"],
        "A.png": ["A_mask.png"],
    }
    assert matched(tmp_path / "2", "a.png a.jpg", "a.jpg.png") == {"a.jpg": ["a.jpg.png"]}


@pytest.mark.parametrize("masks", ["a_mask.png a_gt.png", "a.png a_mask.png", "a.png a.bmp", "a_mask.png a/000.png"])
def test_two_masks_of_one_image_are_refused(tmp_path: Path, masks: str) -> None:
    with pytest.raises(DataError, match=r"a\.jpg: several files can be its mask: .*; keep one of them"):
        matched(tmp_path, "a.jpg b.jpg", masks)


@pytest.mark.parametrize("images", ["a.png a.jpg", "left/a.png right/a.png"])
def test_a_mask_that_two_images_can_have_is_refused(tmp_path: Path, images: str) -> None:
    with pytest.raises(DataError, match=r"the mask a_mask\.png can belong to 2 images"):
        matched(tmp_path, images, "a_mask.png")


def test_no_folder_no_masks(tmp_path: Path) -> None:
    assert match_masks(touch(tmp_path, "a.png"), tmp_path / "nowhere") == {}
    assert match_masks([], tmp_path) == {}


def test_masks_of_which_none_is_used_are_refused() -> None:
    masks = [Path("cut/a_mask.png"), Path("cut/b_mask.png")]
    check_some_used(masks, masks[:1])
    check_some_used([], [])
    with pytest.raises(
        DataError, match=r"none of the 2 masks .* found cut/a_mask\.png, cut/b_mask\.png; expected.*NAME_gt"
    ):
        check_some_used(masks, [])


def test_names_of_the_image_of_a_mask() -> None:
    assert all(image_names(f"Part0_{word}") == [f"Part0_{word}", "Part0"] for word in AFFIXES)
    assert image_names("mask_part0") == ["mask_part0", "part0"]
    assert image_names("part0") == ["part0"]


def save(path: Path, *marked: tuple[int, int]) -> Path:
    pixels = np.zeros((4, 6), np.uint8)
    for place in marked:
        pixels[place] = 255
    Image.fromarray(pixels).save(path)
    return path


def test_masks_of_one_image_are_united(tmp_path: Path) -> None:
    paths = [save(tmp_path / "0.png", (0, 1)), save(tmp_path / "1.png", (3, 5)), save(tmp_path / "2.png")]
    assert np.argwhere(open_masks(paths, (4, 6), is_normal=False)).tolist() == [[0, 1], [3, 5]]


@pytest.mark.parametrize("size", [(6, 4), (8, 12), (4, 5), (2, 3)])
def test_another_size_than_the_image_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    said = rf"0\.png: this mask is 6 × 4 pixels, and its image is {size[1]} × {size[0]}; a mask is not scaled"
    with pytest.raises(ImageError, match=said):
        open_masks([save(tmp_path / "0.png", (0, 1))], size, is_normal=False)


def test_masks_that_contradict_the_label_are_refused(tmp_path: Path) -> None:
    empty, marked = save(tmp_path / "empty.png"), save(tmp_path / "marked.png", (1, 1))
    assert not open_masks([empty], (4, 6), is_normal=True).any()
    with pytest.raises(ImageError, match=r"marked\.png: this mask marks 1 pixel as .* labelled normal"):
        open_masks([marked], (4, 6), is_normal=True)
    with pytest.raises(ImageError, match=r"empty\.png: marks no pixel as a defect, .* labelled anomalous"):
        open_masks([empty], (4, 6), is_normal=False)
