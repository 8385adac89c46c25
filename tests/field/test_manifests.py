"""Manifests as people write them: each means what a plain one means, or is refused by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomaly.data import Dataset, open_dataset
from anomaly.errors import DataError
from anomaly.pipeline.pixel_figures import read_masks
from tests.cli.calls import TINY, call, done, refused
from tests.digit_images import digits, write_images
from tests.field.rows import Row

SECTION = "Manifests"
NUM_TRAIN, NUM_GOOD, NUM_DEFECTS = 6, 4, 4

Fields = tuple[str, str, str, str]


@dataclass(frozen=True)
class Writing:
    """How a manifest is written."""

    head: str = "path,label,split,mask"
    delimiter: str = ","
    newline: str = "\n"
    encoding: str = "utf-8"
    before: str = ""
    after: str = ""
    edit: Callable[[Fields], Sequence[str]] = lambda fields: fields

    def write(self, path: Path, rows: Sequence[Fields]) -> str:
        lines = [self.head.replace(",", self.delimiter), *(self.delimiter.join(self.edit(row)) for row in rows)]
        text = self.before + self.newline.join(lines) + self.newline + self.after
        path.write_bytes(text.encode(self.encoding))
        return str(path)


EXCEL = Writing(newline="\r\n")


def backslashes(row: Fields) -> Sequence[str]:
    return [field.replace("/", "\\") for field in row]


def only(column: int, change: Callable[[str], str]) -> Callable[[Fields], Sequence[str]]:
    return lambda row: [change(field) if place == column else field for place, field in enumerate(row)]


READ: dict[str, Writing] = {
    "commas": Writing(),
    "semicolons, with a byte-order mark": replace(EXCEL, delimiter=";", encoding="utf-8-sig"),
    "tabs, UTF-16": replace(EXCEL, delimiter="\t", encoding="utf-16"),
    "a first line `sep=,`": replace(EXCEL, before="sep=,\r\n"),
    "a first line `sep=;`": replace(EXCEL, before="sep=;\r\n", delimiter=";"),
    "rows of nothing but delimiters": replace(EXCEL, after=",,,\r\n,,,\r\n"),
    "rows of spaces, blank rows": replace(EXCEL, before="\r\n", after="   \r\n\r\n"),
    "line ends of old Macs (CR)": Writing(newline="\r"),
    "backslashes in paths": replace(EXCEL, edit=backslashes),
    "spaces around fields": Writing(edit=lambda row: [f" {field} " for field in row]),
    "spaces in the header": Writing(head="path, label, split, mask"),
    "capitals in the header": Writing(head="Path,LABEL,Split,Mask"),
    "capitals in labels and splits": Writing(edit=lambda row: [row[0], row[1].title(), row[2].upper(), row[3]]),
    "`./` before paths": Writing(edit=only(0, lambda name: f"./img/../{name}")),
    "empty columns at the right": replace(EXCEL, head="path,label,split,mask,,", edit=lambda row: [*row, "", ""]),
    "empty cells at the end of rows left away": Writing(edit=lambda row: row[: 4 if row[3] else 3]),
    "columns that are not known": Writing(
        head="path,label,split,mask,camera,variant", edit=lambda row: [*row, "line3", "blue"]
    ),
    "`group`": Writing(head="path,label,split,mask,group", edit=lambda row: [*row, "g"]),
    "`kind`": Writing(head="path,label,split,mask,kind", edit=lambda row: [*row, "cut" if row[3] else ""]),
}

REFUSED: dict[str, tuple[Writing, str]] = {
    "paths with a drive": (
        replace(EXCEL, edit=only(0, lambda name: f"C:\\data\\{name}")),
        r"line 2: C:\\data\\img/n00\.png is a path of a Windows machine",
    ),
    "URLs": (Writing(edit=only(0, lambda name: f"file:///{name}")), "line 2: file:///img/n00.png is a URL"),
    "a split `val`": (
        Writing(edit=only(2, lambda split: split.replace("test", "val"))),
        "line 8: the split is 'val'.*call these train",
    ),
    "another label": (Writing(edit=only(1, lambda label: label.replace("normal", "ok"))), "the label is 'ok'"),
    "Windows' cp1252": (
        Writing(encoding="cp1252", edit=only(3, lambda mask: f"{mask}ä")),
        "line 2 has the byte 0xe4, which is not UTF-8",
    ),
    "other delimiters": (Writing(delimiter="|"), r"line 1 names the columns path\|label\|split\|mask; expected"),
    "a column called `masks`": (Writing(head="path,label,split,masks"), "call it mask"),
    "rows without a label": (Writing(edit=lambda row: row[:1]), "line 2: has 1 field; expected 4"),
    "rows of more cells": (Writing(edit=lambda row: [*row, "x"]), "line 2: has 5 fields; expected 4"),
    "half of the images missing, or more": (
        Writing(edit=only(0, lambda name: name.replace("img/n", "img/x"))),
        "10 of 14 images that it lists do not exist",
    ),
    "all masks missing": (Writing(edit=only(3, lambda mask: mask and f"x{mask}")), "4 of 4 masks .* do not exist"),
    "`~/…`, with no such files in the home folder": (
        Writing(edit=only(0, lambda name: f"~/{name}")),
        "14 of 14 images",
    ),
}

JOINED = "one row for each defect: rows of one image are joined, their masks united"
CONTRADICTING = "two rows of one image that contradict each other"
FEW_MISSING = "fewer than half of the images missing"

ROWS: tuple[Row, ...] = (
    *(Row(SECTION, what, "read") for what in READ),
    Row(SECTION, JOINED, "read"),
    Row(SECTION, FEW_MISSING, "said before the work begins; each has its error"),
    *(Row(SECTION, what, "refused") for what in REFUSED),
    Row(SECTION, CONTRADICTING, "refused, with both lines"),
)


@pytest.fixture
def rows(tmp_path: Path) -> list[Fields]:
    """Of pictures with a grey each, and of defects with two white places, which are their masks."""
    (tmp_path / "img").mkdir()
    (tmp_path / "mask").mkdir()
    listed: list[Fields] = []
    for number in range(NUM_TRAIN + NUM_GOOD):
        Image.new("L", (8, 6), 10 + number).save(tmp_path / f"img/n{number:02}.png")
        listed.append((f"img/n{number:02}.png", "normal", "train" if number < NUM_TRAIN else "test", ""))
    for number in range(NUM_DEFECTS):
        Image.new("L", (8, 6), 100 + number).save(tmp_path / f"img/d{number}.png")
        for name, places in {"": (0, 1), "_0": (0,), "_1": (1,)}.items():
            Image.fromarray(drawn(number, *places)).save(tmp_path / f"mask/d{number}{name}.png")
        listed.append((f"img/d{number}.png", "anomalous", "test", f"mask/d{number}.png"))
    return listed


def drawn(number: int, *places: int) -> NDArray[np.bool_]:
    mask = np.zeros((6, 8), np.bool_)
    for place in places:
        mask[number : number + 2, 4 * place : 4 * place + 3] = True
    return mask


def check_meaning(data: Dataset) -> None:
    """Each picture once, by its grey; and of the test split's, the whole mask of each defect."""
    greys = {int(np.asarray(sample.open())[0, 0]): sample for sample in data.samples}
    assert len(greys) == len(data.samples) == NUM_TRAIN + NUM_GOOD + NUM_DEFECTS
    for value, sample in greys.items():
        is_train = value < 10 + NUM_TRAIN
        assert (sample.label, sample.split) == (
            "normal" if value < 100 else "anomalous",
            "train" if is_train else "test",
        )
    read = read_masks(data.test())
    assert read is not None
    assert (read.failures, read.without) == ({}, ())
    masks = [mask for mask in read.masks.values() if mask.any()]
    np.testing.assert_array_equal(masks, [drawn(number, 0, 1) for number in range(NUM_DEFECTS)])


@pytest.mark.parametrize("what", READ)
def test_what_is_plain_is_read(tmp_path: Path, rows: list[Fields], what: str) -> None:
    data = open_dataset(READ[what].write(tmp_path / "list.csv", rows))
    check_meaning(data)
    notes = {"columns that are not known": ("columns that are not known are left out: camera, variant",)}
    assert data.notes == notes.get(what, ())
    assert {sample.group for sample in data.samples} == ({"g"} if what == "`group`" else {""})
    assert {sample.kind for sample in data.samples} == ({"", "cut"} if what == "`kind`" else {""})


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_is_refused_by_name(tmp_path: Path, rows: list[Fields], what: str) -> None:
    writing, said = REFUSED[what]
    path = writing.write(tmp_path / "list.csv", rows)
    with pytest.raises(DataError, match=said) as caught:
        open_dataset(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_one_row_a_defect(tmp_path: Path, rows: list[Fields]) -> None:
    """By another spelling of the path, and by a link, too."""
    (tmp_path / "img" / "link.png").symlink_to("d0.png")
    several = [row for row in rows if row[1] == "normal"]
    for number in range(NUM_DEFECTS):
        spellings = ("img/link.png", "./img/d0.png") if number == 0 else (f"img/d{number}.png",) * 2
        for part, name in enumerate(spellings):
            several.append((name, "anomalous", "test", f"mask/d{number}_{part}.png"))
    data = open_dataset(Writing().write(tmp_path / "list.csv", several))
    check_meaning(data)
    assert data.notes == ("8 lines are of 4 images: each counts once, with its masks united",)


def test_the_kinds_of_one_image_are_joined(tmp_path: Path, rows: list[Fields]) -> None:
    path = tmp_path / "list.csv"
    path.write_text("path,label,kind\nimg/n00.png,normal,\nimg/d0.png,anomalous,dent\nimg/d0.png,anomalous,cut\n")
    assert [sample.kind for sample in open_dataset(str(path)).samples] == ["", "cut+dent"]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (("./img/d0.png", "normal", "test", ""), "one says anomalous and the other normal"),
        (("img/d0.png", "anomalous", "train", ""), "one says test and the other train"),
        (("img/d0.png", "anomalous", "test", ""), "only one of them has a mask"),
    ],
)
def test_rows_that_contradict_each_other(tmp_path: Path, rows: list[Fields], second: Fields, said: str) -> None:
    path = Writing().write(tmp_path / "list.csv", [*rows, second])
    with pytest.raises(DataError, match=rf"1 bad line; .*\n  lines 12 and 16: both are .*img/d0\.png, but {said}"):
        open_dataset(path)


def test_missing_files_are_said_before_training(tmp_path: Path) -> None:
    write_images(tmp_path / "img", digits("train", "0")[:30])
    lines = ["path,label", *(f"img/{number:04}.png,normal" for number in range(25, 50))]
    (tmp_path / "most.csv").write_text("\n".join(lines))
    message = refused("train", tmp_path / "most.csv", "--out", tmp_path / "model", *TINY)
    assert "20 of 25 images that it lists do not exist" in message
    lines = ["path,label", *(f"img/{number:04}.png,normal" for number in range(5, 33))]
    (tmp_path / "few.csv").write_text("\n".join(lines))
    said = call("train", tmp_path / "few.csv", "--out", tmp_path / "model", *TINY)
    assert said.exit_code in (0, 1)
    told = said.stderr.index("3 of 28 images that it lists do not exist")
    assert told < said.stderr.index("recipe ")


def test_an_evaluation_says_what_it_joined(bigan_dir: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "img", digits("test")[:30])
    lines = [f"img/{n:04}.png,{'normal' if n < 15 else 'anomalous'}" for n in (*range(30), 29)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *lines]))
    result = done("evaluate", bigan_dir, tmp_path / "list.csv", "--out", tmp_path / "report", "--device", "cpu")
    assert "data: 2 lines are of 1 image: each counts once" in result.stderr
    assert "of one training (seed 0)" in result.stdout
