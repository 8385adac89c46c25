"""Image folders in all their layouts."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data import Dataset, LeftOut, Why, describe, open_dataset, open_defects
from anomaly.errors import DataError


def write(root: Path, *names: str) -> Path:
    """Files with these names; those with an image's suffix are images."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".png", ".jpg"):
            Image.fromarray(np.full((4, 6), 255, np.uint8)).save(path)
        else:
            path.write_text("text")
    return root


def rows(data: Dataset, root: Path) -> list[tuple[str, str | None, str | None, str]]:
    return [(str(Path(s.path).relative_to(root)), s.split, s.label, s.kind) for s in data.samples]


def test_a_folder_of_normal_images(tmp_path: Path) -> None:
    write(tmp_path, "b.png", "a/2.png", "a/1.jpg", "c/3.png", "notes.txt", "a/more.csv")
    data = open_dataset(str(tmp_path))
    expected = [(name, None, "normal", "") for name in ("a/1.jpg", "a/2.png", "b.png", "c/3.png")]
    assert (data.form, rows(data, tmp_path), len(data.left_out)) == ("folder", expected, 2)
    assert len(data.train_normals()) == 4


def test_one_folder_in_a_folder_is_no_class(tmp_path: Path) -> None:
    write(tmp_path, "2024/1.png", "2024/2.png", "docs/readme.txt")
    data = open_dataset(str(tmp_path))
    assert (data.form, len(data.samples), len(data.left_out)) == ("folder", 2, 1)


def test_mvtec(tmp_path: Path) -> None:
    write(tmp_path, "train/good/0.png", "train/good/1.png", "test/good/0.png", "test/crack/0.png", "test/cut/0.png")
    write(tmp_path, "ground_truth/crack/0_mask.png", "ground_truth/cut/0.png", "license.txt", "test/crack/notes.txt")
    data = open_dataset(str(tmp_path))
    assert (data.form, len(data.left_out)) == ("mvtec", 2)
    assert rows(data, tmp_path) == [
        ("train/good/0.png", "train", "normal", "good"),
        ("train/good/1.png", "train", "normal", "good"),
        ("test/crack/0.png", "test", "anomalous", "crack"),
        ("test/cut/0.png", "test", "anomalous", "cut"),
        ("test/good/0.png", "test", "normal", "good"),
    ]
    masks = [sample.open_mask() for sample in data.test()]
    assert [mask is not None and bool(mask.all()) for mask in masks] == [True, True, False]
    assert all(mask is not None and mask.shape == (4, 6) for mask in masks)
    assert open_dataset(str(tmp_path), normal=["good"]) == data


def test_masks_belong_to_test_images_and_not_to_training_images_of_the_same_name(tmp_path: Path) -> None:
    write(tmp_path, "train/good/0.png", "test/good/0.png", "test/cut/0.png", "test/cut/1.png")
    write(tmp_path, "ground_truth/good/0_mask.png", "ground_truth/cut/0_mask.BMP", "ground_truth/cut/9_mask.png")
    data = open_dataset(str(tmp_path))
    truth = tmp_path / "ground_truth"
    assert {str(Path(s.path).relative_to(tmp_path)): s.masks for s in data.samples} == {
        "train/good/0.png": (),
        "test/cut/0.png": (truth / "cut/0_mask.BMP",),
        "test/cut/1.png": (),
        "test/good/0.png": (truth / "good/0_mask.png",),
    }
    assert data.left_out == (LeftOut(f"{truth}/cut/9_mask.png", Why.MASK),)


def test_mvtec_without_masks(tmp_path: Path) -> None:
    write(tmp_path, "train/good/0.png", "test/crack/0.png", "test/good/0.png")
    data = open_dataset(str(tmp_path))
    assert data.form == "mvtec"
    assert [sample.open_mask() for sample in data.samples] == [None, None, None]


def test_mvtec_with_another_class_as_normal_is_a_tree_of_classes(tmp_path: Path) -> None:
    write(tmp_path, "train/good/0.png", "test/crack/0.png", "test/good/0.png", "ground_truth/crack/0_mask.png")
    data = open_dataset(str(tmp_path), normal=["crack"])
    assert data.form == "classes"
    assert [(s.kind, s.label) for s in data.test()] == [("crack", "normal"), ("good", "anomalous")]


def test_classes_with_splits(tmp_path: Path) -> None:
    write(tmp_path, "train/cat/1.png", "train/dog/1.png", "test/cat/2.png", "test/dog/2.png", "test/emu/2.png", "x.txt")
    data = open_dataset(str(tmp_path), normal=["cat", "emu"])
    assert (data.form, len(data.left_out)) == ("classes", 1)
    assert rows(data, tmp_path) == [
        ("train/cat/1.png", "train", "normal", "cat"),
        ("train/dog/1.png", "train", "anomalous", "dog"),
        ("test/cat/2.png", "test", "normal", "cat"),
        ("test/dog/2.png", "test", "anomalous", "dog"),
        ("test/emu/2.png", "test", "normal", "emu"),
    ]


def test_classes_without_splits(tmp_path: Path) -> None:
    write(tmp_path, "cat/1.png", "dog/deep/1.png", "loose.png", "dog/x.txt", ".cache/3.png")
    data = open_dataset(str(tmp_path), normal=["cat"])
    assert rows(data, tmp_path) == [("cat/1.png", None, "normal", "cat"), ("dog/deep/1.png", None, "anomalous", "dog")]
    assert len(data.left_out) == 3


def test_what_belongs_to_no_split_is_counted(tmp_path: Path) -> None:
    write(tmp_path, "train/a/1.png", "test/b/1.png", "val/a/1.png", "val/a/x.txt", "train/loose.png")
    assert len(open_dataset(str(tmp_path), normal=["a"]).left_out) == 3


def test_good_is_normal_without_being_told(tmp_path: Path) -> None:
    write(tmp_path, "good/1.png", "bad/1.png", "worse/1.png")
    data = open_dataset(str(tmp_path))
    assert [(s.kind, s.label) for s in data.samples] == [
        ("bad", "anomalous"),
        ("good", "normal"),
        ("worse", "anomalous"),
    ]


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_nothing_else_is_guessed(tmp_path: Path, prefix: str) -> None:
    write(tmp_path, f"{prefix}ok/1.png", f"{prefix}broken/1.png")
    with pytest.raises(DataError, match=r"which classes are normal\? Its classes are broken, ok; .*--normal ok"):
        open_dataset(str(tmp_path))


def test_an_unknown_class(tmp_path: Path) -> None:
    write(tmp_path, "cat/1.png", "dog/1.png")
    with pytest.raises(DataError, match="has no class cow, given with --normal; its classes are cat, dog"):
        open_dataset(str(tmp_path), normal=["cat", "cow"])


@pytest.mark.parametrize(("names", "normal"), [(("test/1.png",), ()), (("1.png",), ("cat",))])
def test_classes_are_needed(tmp_path: Path, names: tuple[str, ...], normal: tuple[str, ...]) -> None:
    write(tmp_path, *names)
    with pytest.raises(DataError, match="has no class folders; expected one folder per class"):
        open_dataset(str(tmp_path), normal=normal)


def test_no_images(tmp_path: Path) -> None:
    write(tmp_path, "notes.txt", "empty/notes.txt")
    with pytest.raises(DataError, match=r"no images found \(2 other files\)"):
        open_dataset(str(tmp_path))


def test_images_are_decoded_when_opened_not_before(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png")
    (tmp_path / "a.png").write_bytes(b"nonsense")
    data = open_dataset(str(tmp_path))
    with pytest.raises(DataError, match=r"a\.png"):
        data.samples[0].open()
    data.samples[1].open()


def test_a_class_may_be_named_in_the_other_form_of_unicode(tmp_path: Path) -> None:
    for kind in ("Gewebe ä", "Riss"):
        folder = tmp_path / unicodedata.normalize("NFD", kind)
        folder.mkdir()
        Image.new("L", (4, 4)).save(folder / "0.png")
    data = open_dataset(str(tmp_path), normal=[unicodedata.normalize("NFC", "Gewebe ä")])
    assert [sample.label for sample in data.samples] == ["normal", "anomalous"]


def test_of_many_classes_the_first_are_listed(tmp_path: Path) -> None:
    write(tmp_path, *(f"patient {number:03d}/0.png" for number in range(100)))
    with pytest.raises(DataError, match="patient 018, patient 019 and 80 more; say it with --normal"):
        open_dataset(str(tmp_path))


def test_masks_that_leave_no_image_normal_are_said(tmp_path: Path) -> None:
    """Such as those of all cells, beside pictures of healthy tissue."""
    write(tmp_path, *(f"images/{number}.png" for number in range(3)))
    for number in range(3):
        mask = Image.new("L", (6, 4))
        mask.paste(255, (1, 1, 3, 3))
        (tmp_path / "masks").mkdir(exist_ok=True)
        mask.save(tmp_path / "masks" / f"{number}_mask.png")
    data = open_dataset(str(tmp_path))
    why = (
        "3 images have masks that mark something, so they count as anomalous. Where masks mark something else than "
        "defects, such as cells, move them out of the data"
    )
    with pytest.raises(DataError) as caught:
        data.train_normals()
    assert str(caught.value) == f"{tmp_path}: no normal images to train on: {why}"
    assert why in describe(data)
    assert not any("each fifth" in sentence for sentence in describe(data))


def test_a_folder_of_defects(tmp_path: Path) -> None:
    write(tmp_path, "b.png", "crack/2.png", "crack/deep/1.png", "dent/3.png", "notes.txt")
    mask = tmp_path / "ground_truth" / "dent" / "3_mask.png"
    mask.parent.mkdir(parents=True)
    Image.fromarray(np.eye(4, 6, dtype=np.uint8) * 255).save(mask)
    data = open_defects(str(tmp_path))
    kinds = {"b.png": "", "crack/2.png": "crack", "crack/deep/1.png": "crack", "dent/3.png": "dent"}
    assert rows(data, tmp_path) == [(name, None, "anomalous", kind) for name, kind in kinds.items()]
    assert [len(sample.masks) for sample in data.labelled_defects()] == [0, 0, 0, 1]
    assert "a folder of defective images: 0 normal, 4 anomalous (1 with masks)" in describe(data)[0]


def test_defects_join_data_with_splits_and_teach(tmp_path: Path) -> None:
    """They belong to the training split, and to their parts; of the test split nothing else teaches."""
    write(tmp_path / "d", "train/good/p1_a.png", "train/good/p2_a.png", "test/good/p3_a.png", "test/cut/p4_a.png")
    write(tmp_path / "missed", "p5_a.png", "p5_b.png")
    data = open_dataset(str(tmp_path / "d"), groups=r"(p\d)_", defects=str(tmp_path / "missed"))
    taught = [(Path(sample.path).name, sample.split, sample.group) for sample in data.labelled_defects()]
    assert taught == [("p5_a.png", "train", "/p5"), ("p5_b.png", "train", "/p5")]
    assert [Path(sample.path).name for sample in data.test()] == ["p4_a.png", "p3_a.png"]
    assert len(data.untested_normals()) == 2


def test_one_defect_is_enough(tmp_path: Path) -> None:
    write(tmp_path, "only.png")
    assert rows(open_defects(str(tmp_path)), tmp_path) == [("only.png", None, "anomalous", "")]


@pytest.mark.parametrize("folder", ["good", "OK", "train", "deep/Test", "deep/normal"])
def test_a_folder_of_defects_has_no_normal_images(tmp_path: Path, folder: str) -> None:
    write(tmp_path, "crack/1.png", f"{folder}/2.png")
    with pytest.raises(DataError, match=f"has a folder {Path(folder).name}, so not all of its images"):
        open_defects(str(tmp_path))


@pytest.mark.parametrize("name", ["good", "OK"])
def test_a_folder_of_normal_images_is_no_folder_of_defects(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "1.png")
    with pytest.raises(DataError, match=f"{name}: is called as folders of normal images are"):
        open_defects(str(tmp_path / name))


def test_what_has_no_defects(tmp_path: Path) -> None:
    write(tmp_path / "empty", "notes.txt")
    with pytest.raises(DataError, match=r"no images found .* expected images of defects, or folders of them"):
        open_defects(str(tmp_path / "empty"))
    for name, found in (("nothing", "does not exist"), ("empty/notes.txt", "is a file")):
        with pytest.raises(DataError, match=f"{found}; expected a folder of defective images, or a manifest.csv"):
            open_defects(str(tmp_path / name))


def test_defects_of_a_manifest(tmp_path: Path) -> None:
    write(tmp_path, "1.png", "2.png", "3.png")
    lines = ["path,label,split", "1.png,anomalous,train", "2.png,anomalous,test", "3.png,normal,train"]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    defects = open_defects(str(tmp_path / "m.csv")).labelled_defects()
    assert [Path(sample.path).name for sample in defects] == ["1.png"]
