"""Random trees of folders: what is made of each file is what a plain reference says, or the tree is refused as there.

`ANOMALY_FIELD_TREES` is the number of trees.
"""

import os
import tempfile
from io import BytesIO
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from anomaly.data import mark, open_dataset
from anomaly.errors import DataError
from tests.field.folders import cut_mask, part, write_one
from tests.field.tree_meaning import Files, Meaning, meaning

NUM_TREES = int(os.environ.get("ANOMALY_FIELD_TREES", "50"))

SPLITS = ("train/good", "train/ok", "test/good", "test/ok", "test/cut", "Train/good", "Test/cut/deep")
CLASSES = ("good", "Good", "ok", "cut", "cut/deep", "masks/cut")
LOOSE = ("", "train", "test", "val/good", "2024/01", "2024/02")
BELOW = ("bottle/train/good", "bottle/test/cut", "bottle/test", "bottle/good", "bottle/cut")
LAYOUTS = (
    SPLITS,
    SPLITS + LOOSE,
    CLASSES,
    CLASSES + LOOSE,
    LOOSE,
    LOOSE + BELOW,
    SPLITS + CLASSES + LOOSE + BELOW,
)
MASK_FOLDERS = (
    "ground_truth/cut", "ground_truth/cut/deep", "ground_truth/good", "ground_truth/test/cut", "masks", "masks/ok",
    "cut/masks", "labels/cut", "test/cut/gt", "mask", "Masks/cut", "test/masks/cut",
)  # fmt: skip
JUNK = (
    ".DS_Store", "._0.png", "good/._1.png", "cut/.ipynb_checkpoints/0-checkpoint.png", "__MACOSX/train/good/._0.png",
    "@eaDir/0.png", "train/@eaDir/0.jpg", "#recycle/good/0.png", "lost+found/0.png", "Thumbs.db", "ok/desktop.ini",
    ".Trash-1000/files/0.png", "test/.hidden/good/0.png",
)  # fmt: skip
OTHERS = ("notes.txt", "train/readme.md", "good/0.json", "extra/a.csv")
DRAWN = ("000001_x.png", "out/000002_0.png", "good/roc.png", "report/samples.png")
NORMAL: tuple[tuple[str, ...], ...] = (
    (),
    (),
    (),
    ("good",),
    ("ok",),
    ("good", "ok"),
    ("cut",),
    ("masks",),
    ("nothing",),
)
STEMS = st.lists(st.sampled_from("012"), min_size=1, unique=True)


@st.composite
def trees(draw: st.DrawFn) -> Files:
    """Pictures in folders, some with masks beside them; folders of masks, or called so; leftovers."""
    files: Files = {}
    folders = draw(st.sampled_from(LAYOUTS))
    for folder in draw(st.lists(st.sampled_from(folders), min_size=1, max_size=6, unique=True)):
        for stem in draw(STEMS):
            suffix = draw(st.sampled_from(["png", "jpg", "BMP"]))
            name = f"{folder}/{stem}".lstrip("/")
            files[f"{name}.{suffix}"] = "part"
            mask = draw(st.sampled_from(["", "", "", "_mask.png", "_label.bmp", "_GT.png", ".png"]))
            if mask and (mask != ".png" or suffix == "jpg"):
                looks = ["mask", "blank", "part"][: 2 if mask == "_mask.png" else 3]  # or whose mask is `0_mask`?
                files[f"{name}{mask}"] = draw(st.sampled_from(looks))
    tops = draw(
        st.lists(
            st.sampled_from(["mask", "mask", "blank", "part"]), min_size=len(MASK_FOLDERS), max_size=len(MASK_FOLDERS)
        )
    )
    for folder in draw(st.lists(st.sampled_from(MASK_FOLDERS), max_size=3, unique=True)):
        for stem in draw(STEMS):
            files[f"{folder}/{stem}{draw(st.sampled_from(['.png', '_mask.png']))}"] = tops[MASK_FOLDERS.index(folder)]
    for names, what in ((JUNK, "part"), (OTHERS, "text"), (DRAWN, "drawn")):
        files |= dict.fromkeys(draw(st.lists(st.sampled_from(names), max_size=2, unique=True)), what)
    return files


def write(root: Path, files: Files) -> None:
    for seed, (name, what) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        match what:
            case "drawn":
                png = BytesIO()
                Image.fromarray(cut_mask()).save(png, "PNG")
                path.write_bytes(mark(png.getvalue()))
            case "text":
                path.write_text("text")
            case "part" if path.suffix not in (".png", ".jpg", ".bmp", ".BMP"):
                path.write_bytes(part(seed).tobytes())
            case "mask" | "blank":
                write_one(path, "mask" if what == "mask" else "blank", seed)
            case _:
                write_one(path, "part", seed)


def taken(root: Path, normal: tuple[str, ...]) -> Meaning:
    """What the product makes of it."""

    def name(path: str | Path) -> str:
        return str(Path(path).relative_to(root))

    try:
        data = open_dataset(str(root), normal=normal)
    except DataError as error:
        words = (
            "no images found", "below it", "which classes are normal", "has no class folders", "has no class ",
            "has no meaning here", "several files can be its mask", "to an image by its name",
            "can belong to", "lie in two folders",
        )  # fmt: skip
        return Meaning(refused=next((word for word in words if word in str(error)), str(error)))
    return Meaning(
        data.form,
        images={name(s.path): (s.split, s.label or "", s.kind, tuple(map(name, s.masks))) for s in data.samples},
        left_out={name(file.path): file.why for file in data.left_out},
    )


@settings(max_examples=NUM_TREES, suppress_health_check=[HealthCheck.too_slow])
@example({"train/good/0.png": "part", "train/ok/0.png": "part", "ground_truth/cut/0.png": "mask"}, ())
@given(trees(), st.sampled_from(NORMAL))
def test_a_tree_is_what_the_reference_says(files: Files, normal: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files)
        expected, found = meaning(files, normal), taken(Path(folder), normal)
    assert found == expected
    if not found.refused:
        masks = {mask for *_, masks in found.images.values() for mask in masks}
        assert {*found.images, *masks, *found.left_out} == set(files)
