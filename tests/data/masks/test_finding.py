"""Which files are masks: by place, by name and by look."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomaly.data.datasets.images import find_images
from anomaly.data.masks.finding import is_blank

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (24, 24), np.uint8)
MASK = np.zeros((24, 24), np.uint8)
MASK[4:9, 5:15] = 255
SOFT = np.clip(np.linspace(-2000, 2255, 24 * 24), 0, 255).astype(np.uint8).reshape(24, 24)
LABELS = np.array([[0, 0, 0], [200, 30, 30], [30, 200, 30]], np.uint8)[RNG.integers(0, 3, (24, 24))]


def masks_in(root: Path, **files: NDArray[np.uint8]) -> set[str]:
    """Which of these files are masks; `__` stands for the folder's slash, and a name ends in its suffix."""
    for name, pixels in files.items():
        path = root / (name.replace("__", "/").replace("_dot_", "."))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return {str(path.relative_to(root)) for path in find_images(root).masks}


@pytest.mark.parametrize("look", [MASK, np.zeros_like(MASK), MASK // 255, SOFT, LABELS], ids=str)
def test_looks_of_masks(tmp_path: Path, look: NDArray[np.uint8]) -> None:
    assert masks_in(tmp_path, a_dot_png=NOISE, masks__a_dot_png=look) == {"masks/a.png"}


def test_a_jpeg_mask_has_ringing_and_is_one(tmp_path: Path) -> None:
    assert masks_in(tmp_path, a_dot_png=NOISE, masks__a_dot_jpg=MASK) == {"masks/a.jpg"}


@pytest.mark.parametrize("folder", ["masks", "Label", "gt", "labels", "Annotations", "segmentation"])
def test_pictures_in_a_folder_called_so_are_pictures(tmp_path: Path, folder: str) -> None:
    assert masks_in(tmp_path, **{f"{folder}__a_dot_png": NOISE}) == set()
    assert masks_in(tmp_path, **{f"{folder}__a_dot_png": MASK}) == {f"{folder}/a.png"}


@pytest.mark.parametrize("folder", ["ground_truth", "Ground Truth", "groundtruth", "ground-truth"])
def test_ground_truth_is_what_it_says(tmp_path: Path, folder: str) -> None:
    assert masks_in(tmp_path, **{f"{folder}__a_dot_png": NOISE}) == {f"{folder}/a.png"}


def test_a_class_that_the_user_names_is_no_folder_of_masks(tmp_path: Path) -> None:
    assert masks_in(tmp_path, mask__a_dot_png=MASK) == {"mask/a.png"}
    assert len(find_images(tmp_path, classes=["mask"]).masks) == 0


@pytest.mark.parametrize(
    "name", ["Part0_label.bmp", "Part0_mask.png", "part0_GT.png", "Part0-mask.png", "Part0.seg.png", "mask_Part0.png"]
)
def test_names_of_masks_beside_pictures(tmp_path: Path, name: str) -> None:
    Image.fromarray(NOISE).save(tmp_path / "Part0.jpg")
    Image.fromarray(MASK).save(tmp_path / name)
    found = find_images(tmp_path)
    assert found.images == [tmp_path / "Part0.jpg"]
    assert found.masks.beside == {tmp_path / "Part0.jpg": (tmp_path / name,)}
    Image.fromarray(NOISE).save(tmp_path / name)
    assert len(find_images(tmp_path).images) == 2


def test_a_mask_of_no_picture_beside_it_is_an_image_that_gets_its_row(tmp_path: Path) -> None:
    assert masks_in(tmp_path, a_dot_png=NOISE, b_mask_dot_png=MASK) == set()


def test_one_stem_twice_is_a_picture_and_its_mask_only_by_the_look(tmp_path: Path) -> None:
    assert masks_in(tmp_path, a_dot_jpg=NOISE, a_dot_png=MASK, b_dot_jpg=NOISE, b_dot_png=NOISE) == {"a.png"}
    (tmp_path / "a.png").write_text("no image")
    assert len(find_images(tmp_path).masks) == 0


def test_blank_masks(tmp_path: Path) -> None:
    for name, pixels in {"blank": np.full_like(MASK, 7), "mask": MASK}.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    assert is_blank(tmp_path / "blank.png")
    assert not is_blank(tmp_path / "mask.png")
    assert not is_blank(tmp_path / "missing.png")


def test_masks_are_matched_with_the_folder_of_their_pictures(tmp_path: Path) -> None:
    files = {f"{folder}__a_dot_png": MASK for folder in ("ground_truth__cut", "test__hole__masks", "gt__test__dent")}
    files |= {f"{folder}__a_dot_png": NOISE for folder in ("test__cut", "test__hole", "test__dent", "train__cut")}
    masks_in(tmp_path, **files)
    found = find_images(tmp_path)
    asked: dict[str, str] = {}

    def match(images: object, folder: Path) -> dict[Path, tuple[Path, ...]]:
        assert isinstance(images, list)
        asked[str(images[0].parent.relative_to(tmp_path))] = str(folder.relative_to(tmp_path))
        return {}

    assert found.masks.of(found.images, match) == {}
    assert asked == {"test/cut": "ground_truth/cut", "test/hole": "test/hole/masks", "test/dent": "gt/test/dent"}
