"""Which files are masks: by place, by name and by look."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomaly.data.datasets.images import find_images
from anomaly.data.masks.finding import marking
from anomaly.errors import DataError

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


def test_one_odd_file_among_masks_stays_a_mask(tmp_path: Path) -> None:
    masks = {f"masks__{i}_dot_png": MASK for i in range(5)} | {"masks__5_dot_png": NOISE}
    assert len(masks_in(tmp_path / "folder", a_dot_png=NOISE, **masks)) == 6
    beside = {f"{i}_dot_png": NOISE for i in range(6)} | {f"{i}_mask_dot_png": MASK for i in range(5)}
    found = masks_in(tmp_path / "beside", **beside, **{"5_mask_dot_png": NOISE, "77_mask_dot_png": MASK})
    assert found == {f"{i}_mask.png" for i in (*range(6), 77)}


def test_photographs_on_white_or_black_are_no_masks(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    on_white, on_black = rng.integers(235, 256, (48, 48)), rng.integers(0, 12, (48, 48))
    on_white[20:28, 20:28] = on_black[20:28, 20:28] = rng.integers(80, 200, (8, 8))
    for name, pixels in {"white": on_white.astype(np.uint8), "black": on_black.astype(np.uint8)}.items():
        assert masks_in(tmp_path / name, good__a_dot_png=NOISE, label__a_dot_png=pixels) == set()
        assert masks_in(tmp_path / f"{name} twins", a_dot_jpg=pixels, a_dot_png=pixels) == set()


def test_a_silhouette_saved_twice_is_no_mask_of_itself(tmp_path: Path) -> None:
    assert masks_in(tmp_path, a_dot_jpg=MASK, a_dot_png=MASK) == set()


def test_what_is_ambiguous_beside_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0\.png: several files can be its mask"):
        masks_in(tmp_path / "1", **{"0_dot_png": NOISE, "0_mask_dot_png": MASK, "0_gt_dot_png": MASK})
    with pytest.raises(DataError, match=r"the mask 0_mask\.png can belong to 2 images"):
        masks_in(tmp_path / "2", **{"0_dot_jpg": NOISE, "0_dot_png": NOISE.T, "0_mask_dot_png": MASK})


@pytest.mark.parametrize(
    ("pixels", "marks"),
    [
        (np.zeros_like(MASK), False),
        (MASK, True),
        ((MASK > 0).astype(np.uint16), True),
        (np.full_like(MASK, 255), True),
        (np.dstack([np.full((24, 24, 3), 255, np.uint8), MASK]), True),
    ],
)
def test_what_marks_a_defect(tmp_path: Path, pixels: NDArray[np.uint8], marks: bool) -> None:
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    assert marking([tmp_path / "mask.png"]) == ({tmp_path / "mask.png"} if marks else set())


def test_a_mask_that_cannot_be_read_may_mark_a_defect(tmp_path: Path) -> None:
    assert marking([tmp_path / "missing.png"]) == {tmp_path / "missing.png"}


def test_masks_are_matched_with_the_folder_of_their_pictures(tmp_path: Path) -> None:
    of = {
        "test/cut": "ground_truth/cut",
        "test/hole": "test/hole/masks",
        "test/dent": "gt/test/dent",
        "images": "masks",
    }
    masks_in(tmp_path, **{f"{folder.replace('/', '__')}__a_dot_png": MASK for folder in of.values()})
    masks_in(tmp_path, **{f"{folder.replace('/', '__')}__a_dot_png": NOISE for folder in (*of, "train/cut")})
    found = find_images(tmp_path)
    assert found.masks.of(found.images) == {
        tmp_path / pictures / "a.png": (tmp_path / masks / "a.png",) for pictures, masks in of.items()
    }
