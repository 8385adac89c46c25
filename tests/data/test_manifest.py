"""CSV manifests."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomaly.data import open_dataset
from anomaly.errors import DataError


def manifest(folder: Path, text: str, encoding: str = "utf-8") -> str:
    path = folder / "list.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


def test_all_columns(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "m.png"):
        Image.fromarray(np.full((2, 3), 255, np.uint8)).save(tmp_path / name)
    text = (
        f'path,label,split,mask\na.png,normal,train,\n{tmp_path}/b.png,anomalous,test,m.png\n\n"c,d.png",normal,test,\n'
    )
    data = open_dataset(manifest(tmp_path, text))
    assert data.form == "manifest"
    assert [(s.path, s.split, s.label, s.kind) for s in data.samples] == [
        (str(tmp_path / "a.png"), "train", "normal", ""),
        (str(tmp_path / "b.png"), "test", "anomalous", ""),
        (str(tmp_path / "c,d.png"), "test", "normal", ""),
    ]
    masks = [sample.open_mask() for sample in data.samples[:2]]
    assert [mask is not None and bool(mask.all()) for mask in masks] == [False, True]
    assert masks[0] is not None


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_path_and_label_suffice_in_any_order(tmp_path: Path, newline: str, encoding: str) -> None:
    path = manifest(tmp_path, newline.join(["label,path", "normal,ä.png", "anomalous,b.png"]), encoding)
    samples = open_dataset(path).samples
    assert [(s.path, s.label, s.split) for s in samples] == [
        (str(tmp_path / "ä.png"), "normal", None),
        (str(tmp_path / "b.png"), "anomalous", None),
    ]
    assert [sample.open_mask() for sample in samples] == [None, None]


def test_splits_may_be_empty_everywhere(tmp_path: Path) -> None:
    data = open_dataset(manifest(tmp_path, "path,label,split\na.png,normal,\nb.png,anomalous,\n"))
    assert [sample.split for sample in data.samples] == [None, None]


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    lines = [
        "path,label,split",
        "a.png,good,train",
        "b.png,normal",
        ",normal,train",
        "c.png,normal,train",
        "d.png,normal,",
    ]
    path = manifest(tmp_path, "\n".join([*lines, "", "e.png,normal,val", "f.png,normal,train,x"]))
    with pytest.raises(DataError) as caught:
        open_dataset(path)
    assert str(caught.value).splitlines() == [
        f"{path}: 6 bad lines; correct or remove them",
        "  line 2: the label is 'good'; expected normal or anomalous",
        "  line 3: has 2 fields; expected 3",
        "  line 4: the path is empty",
        "  line 6: the split is ''; expected train or test (or nothing in all lines)",
        "  line 8: the split is 'val'; expected train or test (or nothing in all lines)",
        "  line 9: has 4 fields; expected 3",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1 names the columns \(none\); expected path,label"),
        ("path,label,weight\na,normal,1\n", "line 1 names the columns path,label,weight; expected"),
        ("path,split\na,train\n", "line 1 names the columns path,split; expected"),
        ("path,label,path\na,normal,b\n", "line 1 names the columns path,label,path; expected"),
        ("path;label\na;normal\n", "line 1 names the columns path;label; expected"),
        ("path,label\n\n", "lists no images"),
        ('path,label\na,"normal\n', "line 2 is not CSV"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(manifest(tmp_path, text))


def test_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read .*expected a CSV file in UTF-8"):
        open_dataset(manifest(tmp_path, "path,label\nä.png,normal\n", "latin-1"))


def test_normal_has_no_meaning_for_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--normal a,b has no meaning here, because the label column"):
        open_dataset(manifest(tmp_path, "path,label\na.png,normal\n"), normal=["a", "b"])
