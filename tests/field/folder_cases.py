"""What folders there are: forms, layouts, leftovers and mistakes, each with what is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from anomaly.data import Why
from tests.field.folders import Entry, product
from tests.field.rows import Row

FORMS, LEFTOVERS, REFUSED = "Forms of folders", "What lies beside the pictures", "Folders that are refused"
NUM_PARTS = 20
PARTS: Entry = ("{:03}.png", NUM_PARTS, "part")


def in_capitals(pattern: str) -> str:
    """The names of its folders, each with a capital."""
    folder, _, name = pattern.rpartition("/")
    return f"{folder.title()}/{name}"


@dataclass(frozen=True)
class Taken:
    """What is made of these files: numbers of images, and what is left out by reason.

    `test` has the normal and the anomalous ones; None where an evaluation is refused.
    """

    row: Row
    files: list[Entry]
    form: str
    train: int
    test: tuple[int, int] | None = None
    masks: int = 0
    left_out: Mapping[Why, int] = field(default_factory=dict)
    normal: tuple[str, ...] = ()
    root: str = ""


@dataclass(frozen=True)
class Refused:
    """A folder that is no data set, and the words of the refusal; ROOT stands for the folder."""

    row: Row
    files: list[Entry]
    said: str
    normal: tuple[str, ...] = ()


TAKEN = (
    Taken(
        Row(FORMS, "images at any depth", "all normal; evaluate refuses"),
        [PARTS, ("2024/01/{:03}.png", 5, "part"), ("2024/02/{:03}.png", 5, "part")],
        "folder",
        30,
    ),
    Taken(
        Row(FORMS, "MVTec's tree: `train/good`, `test/<kind>`, `ground_truth/<kind>`", "by splits; `good` is normal"),
        product(),
        "mvtec",
        24,
        (8, 4),
        masks=4,
    ),
    Taken(
        Row(FORMS, "`Train/Good`, `Test/<kind>`, `Ground_Truth/<kind>`", "the same; capitals do not matter"),
        [(in_capitals(pattern), number, what) for pattern, number, what in product()],
        "mvtec",
        24,
        (8, 4),
        masks=4,
    ),
    Taken(
        Row(FORMS, "`train/ok`, `test/ok`, `test/ko`, `ground_truth/ko` with `--normal ok`", "by splits, with masks"),
        [
            ("train/ok/{:03}.png", 24, "part"),
            ("test/ok/{:03}.png", 6, "part"),
            ("test/ko/{:03}.png", 6, "cut"),
            ("ground_truth/ko/{:03}.png", 6, "mask"),
        ],
        "classes",
        24,
        (6, 6),
        masks=6,
        normal=("ok",),
    ),
    Taken(
        Row(FORMS, "`train/*.png` beside `test/<kind>/`", "the files of train are normal; all of test is evaluated"),
        [("train/{:03}.png", 24, "part"), ("test/good/{:03}.png", 8, "part"), ("test/cut/{:03}.png", 4, "cut")],
        "mvtec",
        24,
        (8, 4),
    ),
    Taken(
        Row(FORMS, "only `test/<kind>/`", "train refuses; all is evaluated"),
        product("", ["test"]),
        "mvtec",
        0,
        (8, 4),
        4,
    ),
    Taken(
        Row(FORMS, "only `train/<kind>/`", "all normals train; evaluate refuses"), product("", ["train"]), "mvtec", 24
    ),
    Taken(
        Row(FORMS, "only `train/*.png`", "all train; evaluate refuses"), [("train/{:03}.png", 24, "part")], "folder", 24
    ),
    Taken(
        Row(FORMS, "a folder per class", "each fifth normal image is held out for evaluate"),
        [("ok/{:03}.png", 20, "part"), ("nok/{:03}.png", 3, "cut")],
        "classes",
        16,
        (4, 3),
        normal=("ok",),
    ),
    Taken(
        Row(FORMS, "`good/` and other folders beside loose pictures", "classes; the loose pictures are left out"),
        [("good/{:03}.png", 20, "part"), ("bad/{:03}.png", 3, "cut"), ("example.png", 1, "cut")],
        "classes",
        16,
        (4, 3),
        left_out={Why.ELSEWHERE: 1},
    ),
    Taken(
        Row(FORMS, "`Part0.jpg` and its mask `Part0_label.bmp` in one folder", "a mask that is not blank is a defect"),
        [
            ("Part{}.jpg", 20, "part"),
            ("Part{}_label.bmp", 20, "blank"),
            ("Bad{}.jpg", 3, "cut"),
            ("Bad{}_label.bmp", 3, "mask"),
        ],
        "folder",
        16,
        (4, 3),
        masks=3,
    ),
    Taken(
        Row(FORMS, "`train/1.png`, `train/1_GT.png`, `test/2.png`, `test/2_GT.png`", "the masks say what is normal"),
        [
            ("train/{}.png", 20, "part"),
            ("train/{}_GT.png", 20, "blank"),
            ("train/b{}.png", 2, "cut"),
            ("train/b{}_GT.png", 2, "mask"),
            ("test/{}.png", 5, "part"),
            ("test/{}_GT.png", 5, "blank"),
            ("test/b{}.png", 4, "cut"),
            ("test/b{}_GT.png", 4, "mask"),
        ],
        "folder",
        20,
        (5, 4),
        masks=6,
    ),
    Taken(
        Row(FORMS, "`exp1.jpg` and its mask `exp1.png` in one folder", "the lossless one is the mask"),
        [("good/exp{}.jpg", 20, "part"), ("hole/exp{}.jpg", 3, "cut"), ("hole/exp{}.png", 3, "mask")],
        "classes",
        16,
        (4, 3),
        masks=3,
    ),
    Taken(
        Row(LEFTOVERS, "a folder of masks among the pictures: `masks`, `gt`, `labels`, …", "masks of its neighbours"),
        [("good/{:03}.png", 20, "part"), ("bad/{:03}.png", 3, "cut"), ("bad/masks/{:03}.png", 3, "mask")],
        "classes",
        16,
        (4, 3),
        masks=3,
    ),
    Taken(
        Row(LEFTOVERS, "a class called `mask` or `label`, of pictures", "a class: masks are known by their look, too"),
        [("good/{:03}.png", 20, "part"), ("label/{:03}.png", 3, "cut")],
        "classes",
        16,
        (4, 3),
    ),
    Taken(
        Row(LEFTOVERS, "`.DS_Store`, `._001.png` beside `001.png`", "left out and counted"),
        [PARTS, ("._{:03}.png", NUM_PARTS, "apple"), (".DS_Store", 1, "text")],
        "folder",
        20,
        left_out={Why.HIDDEN: 21},
    ),
    Taken(
        Row(LEFTOVERS, "`__MACOSX/`", "left out and counted"),
        [PARTS, ("__MACOSX/parts/._{:03}.png", NUM_PARTS, "apple")],
        "folder",
        20,
        left_out={Why.HIDDEN: 20},
    ),
    Taken(
        Row(LEFTOVERS, "`.ipynb_checkpoints/` in a class", "left out and counted"),
        [*product(), ("test/good/.ipynb_checkpoints/{:03}-checkpoint.png", 3, "cut")],
        "mvtec",
        24,
        (8, 4),
        masks=4,
        left_out={Why.HIDDEN: 3},
    ),
    *(
        Taken(
            Row(LEFTOVERS, f"`{name}/` with pictures", "left out and counted"),
            [PARTS, (f"{name}/files/{{:03}}.png", 9, "cut")],
            "folder",
            20,
            left_out={Why.HIDDEN: 9},
        )
        for name in (
            ".Trash-1000",
            ".snapshot",
            ".AppleDouble",
            "@eaDir",
            "#recycle",
            "$RECYCLE.BIN",
            "System Volume Information",
            "lost+found",
        )
    ),
    Taken(
        Row(LEFTOVERS, "`Thumbs.db`, `desktop.ini`", "left out and counted"),
        [PARTS, ("Thumbs.db", 1, "text"), ("desktop.ini", 1, "text")],
        "folder",
        20,
        left_out={Why.HIDDEN: 2},
    ),
    Taken(
        Row(LEFTOVERS, "files that are no images", "left out and counted"),
        [PARTS, ("notes.txt", 1, "text"), ("sub/more.csv", 1, "text")],
        "folder",
        20,
        left_out={Why.NO_IMAGE: 2},
    ),
    Taken(
        Row(LEFTOVERS, "`val/` beside `train/` and `test/`", "left out and counted"),
        [*product(), ("val/good/{:03}.png", 5, "part")],
        "mvtec",
        24,
        (8, 4),
        masks=4,
        left_out={Why.ELSEWHERE: 5},
    ),
    Taken(
        Row(LEFTOVERS, "DATA itself is hidden or called `masks`", "taken: what is named is taken"),
        [(".hidden/masks/{:03}.png", 20, "part"), (".hidden/masks/m{:03}.png", 4, "mask")],
        "folder",
        24,
        root=".hidden/masks",
    ),
)

REFUSALS = (
    Refused(
        Row(REFUSED, "an MVTec tree in a folder of its own", "give DATA/bottle"),
        product("bottle/"),
        "ROOT: a data set lies below it: ROOT/bottle; .*Give ROOT/bottle$",
    ),
    Refused(
        Row(REFUSED, "the folder of all products", "give one of them"),
        [*product("bottle/"), *product("deep/cable/"), ("license.txt", 1, "text")],
        "ROOT: 2 data sets lie below it: ROOT/bottle, ROOT/deep/cable; .*Give one of them, for example ROOT/bottle$",
    ),
    Refused(
        Row(REFUSED, "a product named as a class", "give DATA/bottle"),
        product("bottle/"),
        "a data set lies below it: ROOT/bottle",
        ("bottle",),
    ),
    Refused(
        Row(REFUSED, "class folders one level below DATA", "give that folder"),
        [("parts/good/{:03}.png", 20, "part"), ("parts/bad/{:03}.png", 3, "cut")],
        "ROOT: a data set lies below it: ROOT/parts; .*Give ROOT/parts$",
    ),
    Refused(
        Row(REFUSED, "class folders, none of them called `good`, without `--normal`", "say which are normal"),
        [("ok/{:03}.png", 20, "part"), ("nok/{:03}.png", 3, "cut")],
        r"which classes are normal\? Its classes are nok, ok; .*--normal ok$",
    ),
    Refused(
        Row(REFUSED, "a folder of masks that no normal picture has", "rename the masks, or take it away"),
        [PARTS, ("labels/x{:03}.png", 3, "mask")],
        "none of the 3 masks belongs to an image by its name; found ROOT/labels/x000.png, .*take their folder away$",
    ),
    Refused(
        Row(
            REFUSED,
            "folders called as defects are (`fail`, `NG`, `bad` …) among normal pictures",
            "give the normal ones",
        ),
        [PARTS, ("NG/{:03}.png", 3, "cut")],
        "ROOT/NG/000.png would be a normal image, but lies in a folder called NG",
    ),
    Refused(
        Row(REFUSED, "`train/good/good` and `train/good/bad`", "the same"),
        [("train/good/good/{:03}.png", 20, "part"), ("train/good/bad/{:03}.png", 3, "cut")],
        "ROOT/train/good/bad/000.png would be a normal image, but lies in a folder called bad",
    ),
    Refused(
        Row(REFUSED, "two masks beside one picture that are not parts of one", "keep one of them"),
        [PARTS, ("{:03}_mask.png", 20, "mask"), ("000_gt.png", 1, "mask")],
        "ROOT/000.png: several files can be its mask: .*; keep one of them$",
    ),
    Refused(
        Row(REFUSED, "two folders of masks for the same pictures", "keep one of them"),
        [*product(), ("test/cut/masks/{:03}.png", 10, "mask")],
        "ROOT/test/cut: masks of its images lie in two folders, .*; keep one of them$",
    ),
    Refused(
        Row(REFUSED, "nothing but masks, hidden files and others", "no images; what there is is counted"),
        [("ground_truth/{:03}.png", 3, "mask"), (".x.png", 1, "part"), ("a.txt", 1, "text")],
        r"ROOT: no images found \(1 other file\); left out: 1 hidden.*; left out: 3 masks.*expected image files",
    ),
    Refused(
        Row(REFUSED, "only `test/*.png`", "nothing says what is normal"),
        [("test/{:03}.png", 3, "part")],
        "ROOT: has no class folders; expected one folder per class",
    ),
)
